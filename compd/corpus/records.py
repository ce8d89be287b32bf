"""One line of a corpus: a deviation, and all that is needed to replay and understand it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compd.corpus.fields import (
    HASH,
    finite,
    hash_in,
    integer,
    name,
    number,
    share,
    two,
    unique,
    whole,
)
from compd.corpus.shared import Shared
from compd.errors import InputError, brief
from compd.search.findings import Answer, Finding, Stability
from compd.search.judge import Verdict
from compd.text import shortened

__all__ = ["Minimised", "Record", "image_file", "seed_file"]


def image_file(sha256: str) -> str:
    """Where a corpus keeps the image with this pixel hash, relative to its folder."""
    return f"images/{sha256[:2]}/{sha256}.png"


def seed_file(sha256: str) -> str:
    """Where a corpus keeps the seed with this pixel hash."""
    return f"seeds/{sha256[:2]}/{sha256}.png"


@dataclass(frozen=True)
class Minimised:
    """What an entry was made smaller from, and how far it got; each pair is (before, after)."""

    source: str  # SHA-256 of the pixels of the entry that it was
    pixels: tuple[int, int]  # changed positions
    values: tuple[int, int]  # changed values: positions times channels
    linf: tuple[int, int]  # levels of 255
    l2: tuple[float, float]  # per pixel, values in 0..1
    settings: Mapping[str, float | None]  # trials, eps, random_seed, keep_severity
    severity: tuple[float, float] | None = None  # None: an older compd did not write it down


@dataclass(frozen=True)
class Record:
    """A stored candidate."""

    sha256: str  # of the image's pixels
    seed_sha256: str
    seed_data: str  # the data set
    seed_row: str  # for example "test[12]"
    seed_label: int  # the original's answer to the seed
    true_label: int | None  # None: nobody labelled the seed
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
    minimised: Minimised | None = None  # set by minimisation
    stability: Stability | None = None  # what it depends on; None: it was not replayed

    @property
    def flip(self) -> str:
        """From which answer to which, for people: ``cat → dog``."""
        return f"{self.original.name} → {self.deployed.name}"

    def __repr__(self) -> str:
        return shortened(
            f"Record({self.sha256[:12]}, {self.seed_row} of {self.seed_data}: {self.flip}, "
            f"severity {self.severity:.3f}, Linf {self.linf}/255)"
        )

    @classmethod
    def of(
        cls,
        finding: Finding,
        *,
        data: str,
        strategy: Mapping[str, Any],
        eps: int | None,
        norm: str,
        random_seed: int,
        fingerprint: Mapping[str, Any],
        pair: Mapping[str, Any],
    ) -> Record:
        """A finding with the circumstances of its campaign."""
        return cls(
            sha256=finding.sha256,
            seed_sha256=finding.seed_sha256,
            seed_data=data,
            seed_row=finding.seed_row,
            seed_label=finding.seed_label,
            true_label=finding.true_label,
            verdict=finding.verdict,
            original=finding.original,
            deployed=finding.deployed,
            severity=finding.severity,
            linf=finding.linf,
            l2=finding.l2,
            psnr=finding.psnr,
            strategy=strategy,
            eps=eps,
            norm=norm,
            step=finding.step,
            random_seed=random_seed,
            fingerprint=fingerprint,
            pair=pair,
            stability=finding.stability,
        )

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
        if self.stability is not None:
            content["trust"] = str(self.stability)
        if self.minimised is not None:
            content["minimised"] = _minimised_json(self.minimised)
        return json.dumps(content, separators=(", ", ": "), allow_nan=False)

    @classmethod
    def from_line(cls, line: str, shared: Shared | None = None) -> Record:
        """The inverse of :meth:`to_line`, but for what a terminal would obey: that is written out.

        Args:
            line: without the line break.
            shared: with the records before, so that equal parts of them take memory once.

        Raises:
            CompdError: if the line is not such a record; the caller adds where.
        """
        shared = shared or Shared()
        try:
            content = json.loads(
                line, parse_constant=finite, parse_float=finite, object_pairs_hook=unique
            )
            sha256 = hash_in(content["file_name"], image_file)
            seed_sha256 = hash_in(content["seed_file_name"], seed_file)
            source = content["source"]
            record = cls(
                sha256=sha256,
                seed_sha256=seed_sha256,
                seed_data=shared.text(name(source["data"])),
                seed_row=shared.text(name(source["row"])),
                seed_label=integer(source["label"]),
                true_label=(
                    None if source["true_label"] is None else integer(source["true_label"])
                ),
                verdict=Verdict(content["verdict"]),
                original=_answer(content["original"], shared),
                deployed=_answer(content["deployed"], shared),
                severity=share(content["severity"]),
                linf=integer(content["linf"], 255),
                l2=share(content["l2"]),
                psnr=None if content["psnr"] is None else number(content["psnr"]),
                strategy=shared.mapping(content["strategy"]),
                eps=None if content["eps"] is None else integer(content["eps"]),
                norm=shared.text(name(content["norm"])),
                step=integer(content["step"]),
                random_seed=whole(content["random_seed"]),
                fingerprint=shared.mapping(content["fingerprint"]),
                pair=shared.mapping(content["pair"]),
                minimised=_minimised(content.get("minimised")),
                stability=None if content.get("trust") is None else Stability(content["trust"]),
            )
            classes = len(record.original.top) + len(record.deployed.top)
            shared.record(classes, minimised=record.minimised is not None)
            return record
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"{type(error).__name__}: {brief(error, 80)}"
            raise InputError(f"expected a corpus record, got something else ({what})") from error


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "label": answer.label,
        "name": answer.name,
        "confidence": answer.confidence,
        "margin": answer.margin,
        "top": [{"name": name, "p": p} for name, p in answer.top],
    }


def _answer(content: Mapping[str, Any], shared: Shared) -> Answer:
    return Answer(
        label=integer(content["label"]),
        name=shared.text(name(content["name"])),
        confidence=share(content["confidence"]),
        margin=share(content["margin"]),
        top=tuple(
            (shared.text(name(entry["name"])), share(entry["p"])) for entry in content["top"]
        ),
    )


def _minimised_json(minimised: Minimised) -> dict[str, Any]:
    content: dict[str, Any] = {
        "from": minimised.source,
        "pixels": minimised.pixels,
        "values": minimised.values,
        "linf": minimised.linf,
        "l2": minimised.l2,
        "settings": dict(minimised.settings),
    }
    if minimised.severity is not None:
        content["severity"] = minimised.severity
    return content


def _minimised(content: Any) -> Minimised | None:
    if content is None:  # as tools write it that fill up missing columns
        return None
    if not HASH.fullmatch(content["from"]):
        raise ValueError(f"expected a SHA-256, got {content['from']!r:.80}")
    settings = content["settings"]
    said = "keep_severity" in settings
    return Minimised(
        source=content["from"],
        pixels=two(content["pixels"], integer),
        values=two(content["values"], integer),
        linf=two(content["linf"], integer),
        l2=two(content["l2"], share),
        settings={
            "trials": integer(settings["trials"]),
            "eps": None if settings["eps"] is None else integer(settings["eps"], 255),
            "random_seed": integer(settings["random_seed"], 2**63 - 1),
            # an older compd kept none, and did not write it down
            **({"keep_severity": share(settings["keep_severity"])} if said else {}),
        },
        severity=None if content.get("severity") is None else two(content["severity"], share),
    )
