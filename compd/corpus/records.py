"""One line of a corpus: a deviation, and all that is needed to replay and understand it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compd.errors import CompdError
from compd.fuzz.findings import Answer, Finding
from compd.fuzz.judge import Verdict

__all__ = ["Record", "image_file", "seed_file"]

_HASH = re.compile(r"[0-9a-f]{64}")


def image_file(sha256: str) -> str:
    """Where a corpus keeps the image with this pixel hash, relative to its folder."""
    return f"images/{sha256[:2]}/{sha256}.png"


def seed_file(sha256: str) -> str:
    """Where a corpus keeps the seed with this pixel hash."""
    return f"seeds/{sha256[:2]}/{sha256}.png"


@dataclass(frozen=True)
class Record:
    """A stored candidate."""

    sha256: str  # of the image's pixels
    seed_sha256: str
    seed_data: str  # the data set
    seed_row: str  # for example "test[12]"
    seed_label: int  # the original's answer to the seed
    true_label: int
    verdict: Verdict
    original: Answer
    deployed: Answer
    severity: float
    linf: int
    l2: float
    psnr: float | None
    strategy: Mapping[str, Any]
    eps: int | None  # bound, levels of 255
    norm: str  # of the bound: "linf" or "l2"
    step: int
    random_seed: int
    fingerprint: Mapping[str, Any]
    pair: Mapping[str, Any] = field(default_factory=dict)  # how to build the models again

    @property
    def flip(self) -> str:
        """From which answer to which, for people: ``cat → dog``."""
        return f"{self.original.name} → {self.deployed.name}"

    @classmethod
    def of(
        cls, finding: Finding, *, data: str, strategy: Mapping[str, Any], eps: int | None,
        norm: str, random_seed: int, fingerprint: Mapping[str, Any], pair: Mapping[str, Any],
    ) -> Record:  # fmt: skip
        """A finding with the circumstances of its campaign."""
        return cls(
            sha256=finding.sha256, seed_sha256=finding.seed_sha256, seed_data=data,
            seed_row=finding.seed_row, seed_label=finding.seed_label,
            true_label=finding.true_label, verdict=finding.verdict, original=finding.original,
            deployed=finding.deployed, severity=finding.severity, linf=finding.linf,
            l2=finding.l2, psnr=finding.psnr, strategy=strategy, eps=eps, norm=norm,
            step=finding.step, random_seed=random_seed, fingerprint=fingerprint, pair=pair,
        )  # fmt: skip

    def to_line(self) -> str:
        """As one line of ``metadata.jsonl``, without the line break."""
        content = {
            "file_name": image_file(self.sha256),
            "seed_file_name": seed_file(self.seed_sha256),
            "verdict": str(self.verdict),
            "severity": self.severity,
            "original": _answer_json(self.original),
            "deployed": _answer_json(self.deployed),
            "linf": self.linf,
            "l2": self.l2,
            "psnr": self.psnr,
            "source": {  # not "seed": readers of image folders make that of seed_file_name
                "data": self.seed_data,
                "row": self.seed_row,
                "label": self.seed_label,
                "true_label": self.true_label,
            },
            "strategy": dict(self.strategy),
            "eps": self.eps,
            "norm": self.norm,
            "step": self.step,
            "random_seed": self.random_seed,
            "pair": dict(self.pair),
            "fingerprint": dict(self.fingerprint),
        }
        return json.dumps(content, separators=(", ", ": "), allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> Record:
        """The inverse of :meth:`to_line`.

        Raises:
            CompdError: if the line is not such a record; the caller adds where.
        """
        try:
            content = json.loads(line, parse_constant=_finite, parse_float=_finite)
            sha256 = _hash_in(content["file_name"], image_file)
            seed_sha256 = _hash_in(content["seed_file_name"], seed_file)
            source = content["source"]
            return cls(
                sha256=sha256,
                seed_sha256=seed_sha256,
                seed_data=_text(source["data"]),
                seed_row=_text(source["row"]),
                seed_label=_integer(source["label"]),
                true_label=_integer(source["true_label"]),
                verdict=Verdict(content["verdict"]),
                original=_answer(content["original"]),
                deployed=_answer(content["deployed"]),
                severity=_share(content["severity"]),
                linf=_integer(content["linf"], 255),
                l2=_share(content["l2"]),
                psnr=None if content["psnr"] is None else _number(content["psnr"]),
                strategy=_mapping(content["strategy"]),
                eps=None if content["eps"] is None else _integer(content["eps"]),
                norm=_text(content["norm"]),
                step=_integer(content["step"]),
                random_seed=_whole(content["random_seed"]),
                fingerprint=_mapping(content["fingerprint"]),
                pair=_mapping(content["pair"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
            raise CompdError(f"expected a corpus record, got something else ({what})") from error


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "label": answer.label,
        "name": answer.name,
        "confidence": answer.confidence,
        "margin": answer.margin,
        "top": [{"name": name, "p": p} for name, p in answer.top],
    }


def _answer(content: Mapping[str, Any]) -> Answer:
    return Answer(
        label=_integer(content["label"]),
        name=_text(content["name"]),
        confidence=_share(content["confidence"]),
        margin=_share(content["margin"]),
        top=tuple((_text(entry["name"]), _share(entry["p"])) for entry in content["top"]),
    )


# A corpus may come from anywhere: what a field cannot mean is refused here, once, so that nothing
# further on meets a NaN, a label that no tensor holds or a bar that no picture fits.


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {text[:40]}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:  # a bool is an int, too
        raise TypeError(f"expected an integer, got {value!r:.40}")
    return value


def _integer(value: Any, highest: int = 2**31 - 1) -> int:
    if not 0 <= _whole(value) <= highest:
        raise ValueError(f"expected an integer in 0..{highest}, got {value!r:.40}")
    return int(value)


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"expected a number, got {value!r:.40}")
    return _finite(str(value))


def _share(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"expected a number in 0..1, got {value!r:.40}")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {value!r:.40}")
    value.encode()  # half a surrogate pair cannot be printed
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r:.40}")
    return value


def _hash_in(name: Any, place: Any) -> str:
    """The hash in a file name, which must be exactly where that hash belongs."""
    sha256 = str(name).rpartition("/")[2].removesuffix(".png")
    if not _HASH.fullmatch(sha256) or name != place(sha256):
        raise ValueError(f"file name {str(name)[:80]!r} is not {place('<hash>')}")
    return sha256
