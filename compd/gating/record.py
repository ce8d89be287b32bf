"""What a gate's own search found on the pair that was accepted: ``search.jsonl`` by the baseline.

The first line says how it was searched and on what; then one line a seed, in the order in which
they were searched: ``{"seed": "…", "row": "all[3]", "severity": 0.31, "flip": "cat → dog"}``, with
``"untouched": true`` where the two models differ on the image as it is. A later search from the
same seeds is compared with it (:mod:`compd.gating.compared`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from compd.data import Split
from compd.errors import InputError
from compd.files.outputs import write_output
from compd.files.reading import read_whole
from compd.images import pixel_hash
from compd.text import one_line

__all__ = ["SearchRecord", "Seed", "path_of", "record_of", "rows_of"]

_NAME = "search.jsonl"
_LARGEST = 64 << 20  # bytes of a file
_MOST = 1 << 20  # seeds
_LONGEST = 400  # characters of a text
_HOW = ("strategy", "eps", "norm", "goal", "wrong_seeds", "random_seed")
_UNSAID = {"wrong_seeds": "keep"}  # of older records


@dataclass(frozen=True)
class Seed:
    """The most severe deviation that a search found from one image."""

    sha256: str  # of the image's pixels
    row: str  # where it was then: "all[3]"
    severity: float  # 0..1; 0 where nothing deviates
    flip: str  # "cat → dog"; empty where nothing deviates
    untouched: bool = False  # whether the two models differ on it as it is


@dataclass(frozen=True)
class SearchRecord:
    """All seeds of a search, and how it was made.

    Raises:
        CompdError: if it has no seeds.
    """

    how: Mapping[str, Any]  # strategy with its settings, eps, norm, goal, random seed
    deployed: str  # SHA-256 of the model that was accepted
    original: str
    seeds: tuple[Seed, ...]
    tells_untouched: bool = True  # older ones do not

    def first(self, count: int) -> SearchRecord:
        """The record of its first seeds alone."""
        return replace(self, seeds=self.seeds[:count])

    def differs(self, how: Mapping[str, Any]) -> list[str]:
        """The settings in which another search differs."""

        def said(settings: Mapping[str, Any], name: str) -> Any:
            return _plain(settings.get(name, _UNSAID.get(name)))

        return [name for name in _HOW if said(self.how, name) != said(how, name)]

    def to_bytes(self) -> bytes:
        """The file."""
        head: dict[str, Any] = {
            "how": dict(self.how),
            "deployed": self.deployed,
            "original": self.original,
        }
        if self.tells_untouched:
            head["untouched"] = sum(seed.untouched for seed in self.seeds)
        lines = [head, *({**asdict(seed), "seed": seed.sha256} for seed in self.seeds)]
        for line in lines[1:]:
            del line["sha256"]
            if not line["untouched"]:
                del line["untouched"]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()

    def save(self, path: Path) -> None:
        """Write the file as a whole."""
        write_output(path, self.to_bytes())

    @classmethod
    def parse(cls, data: bytes, where: str) -> SearchRecord:
        """Read a file's content, which may be a stranger's.

        Raises:
            CompdError: names the line that is not what it has to be.
        """
        number = 1
        try:
            lines = data.decode().splitlines()
            head = json.loads(lines[0])
            if len(lines) - 1 > _MOST:
                raise ValueError(f"{len(lines)} lines")
            how, deployed, original = head["how"], str(head["deployed"]), str(head["original"])
            if not isinstance(how, dict):
                raise TypeError("no settings")
            seeds = []
            for number, line in enumerate(lines[1:], start=2):  # noqa: B007 - told in errors
                seeds.append(_seed(json.loads(line)))
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            said = one_line(str(error))[:120]
            raise InputError(
                f"expected a record of a gate's search, got {type(error).__name__} ({said}): "
                f"{where} line {number}; accept again: compd baseline accept"
            ) from error
        return cls(how, deployed[:64], original[:64], tuple(seeds), "untouched" in head)

    @classmethod
    def load(cls, baseline: Path) -> SearchRecord | None:
        """Read the record beside a baseline; None if there is none.

        Raises:
            CompdError: if it is broken.
        """
        path = path_of(baseline)
        try:
            data = read_whole(path, _LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"expected to read {str(path)!r}, got: {error.strerror}") from error
        return cls.parse(data, str(path))


def path_of(baseline: Path) -> Path:
    """Where the record of a baseline's pair lies: in the same folder, under a name of its own."""
    stem = "" if baseline.name == "baseline.txt" else f"{baseline.stem}-"
    return baseline.with_name(f"{stem}{_NAME}")


def rows_of(record: SearchRecord, split: Split) -> tuple[torch.Tensor, list[int]]:
    """Where a record's seeds are among images.

    Args:
        record: of a search.
        split: images.

    Returns:
        int64 (n,) rows of the split, and the seeds of the record that they are.
    """
    wanted = {seed.sha256: at for at, seed in enumerate(record.seeds)}
    rows: dict[int, int] = {}
    for row, image in enumerate(split.images):
        at = wanted.pop(pixel_hash(image), None)
        if at is not None:
            rows[at] = row
        if not wanted:
            break
    known = sorted(rows)
    return torch.tensor([rows[at] for at in known], dtype=torch.int64), known


def record_of(
    how: Mapping[str, Any], hashes: Mapping[str, str], seeds: tuple[Seed, ...]
) -> SearchRecord:
    """The record of a search on a pair with these hashes."""
    return SearchRecord(
        {name: how.get(name, _UNSAID.get(name)) for name in _HOW},
        hashes["deployed"],
        hashes["original"],
        seeds,
    )


def _seed(line: Mapping[str, Any]) -> Seed:
    sha256, severity = str(line["seed"]), float(line["severity"])
    if len(sha256) != 64 or not 0 <= severity <= 1:
        raise ValueError(f"seed={sha256!r:.80}, severity={severity}")
    row, flip = (one_line(str(line[name]))[:_LONGEST] for name in ("row", "flip"))
    return Seed(sha256, row, severity, flip, line.get("untouched") is True)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
