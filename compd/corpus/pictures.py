"""One picture, of a corpus or not, judged on a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compd.corpus.records import Record
from compd.corpus.replay import JudgedImage, fingerprint_changes, judge_image
from compd.corpus.store import Corpus
from compd.errors import InputError
from compd.files.reading import read_whole
from compd.images import pixel_hash, read_image
from compd.pair import Pair
from compd.search.judge import Verdict

__all__ = ["ReplayedFile", "corpus_around", "replay_file"]

_LARGEST = 256 << 20  # bytes


@dataclass(frozen=True)
class ReplayedFile:
    """A picture's file, judged again."""

    file: str
    sha256: str  # of its pixels
    judged: JudgedImage
    record: Record | None  # what its corpus says of it, if it is of one
    changes: Mapping[str, tuple[str, str]]  # of the fingerprint: key -> (stored, here)

    @property
    def deviates(self) -> bool:
        """Whether the original keeps its label, and the deployed model gives another one."""
        return self.judged.verdict is Verdict.EFFECTIVE

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        judged, record = self.judged, self.record
        content: dict[str, Any] = {
            "file": self.file,
            "sha256": self.sha256,
            "deviates": self.deviates,
            "verdict": str(judged.verdict),
            "severity": judged.severity,
            "original": judged.original.name,
            "original_margin": judged.original.margin,
            "deployed": judged.deployed.name,
            "deployed_margin": judged.deployed.margin,
        }
        if record is not None:
            content |= {
                "stored_flip": record.flip,
                "stored_severity": record.severity,
                "fingerprint_changes": {key: list(values) for key, values in self.changes.items()},
            }
        return content


def corpus_around(file: Path) -> Corpus | None:
    """The corpus that a picture lies in, if it does: images/ab/abcdef….png."""
    parts = file.resolve().parents
    if len(parts) > 2 and (parts[2] / "metadata.jsonl").is_file():
        return Corpus(parts[2])
    return None


def replay_file(pair: Pair, file: Path, corpus: Corpus | None = None) -> ReplayedFile:
    """Judge a picture's file on a pair.

    Args:
        pair: the models.
        file: any picture.
        corpus: that it may be an entry of.

    Raises:
        CompdError: if it cannot be read, or is no image that the pair takes.
    """
    channels = pair.spec.model.channels
    try:
        image = read_image(read_whole(file, _LARGEST), str(file), channels=channels)
    except OSError as error:
        raise InputError(f"expected to read {str(file)!r}, got: {error.strerror}") from error
    pair.check_input(image[None], str(file))
    sha256 = pixel_hash(image)
    record = corpus.find(sha256) if corpus is not None and sha256 in corpus else None
    changes = {} if record is None else fingerprint_changes(record, pair.fingerprint(batch=1))
    return ReplayedFile(str(file), sha256, judge_image(pair, image, record), record, changes)
