"""What a campaign found: findings, and the sums that describe the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from torch import Tensor

from compd.images import distances, pixel_hash
from compd.logits import Answers
from compd.search.judge import Judgement, Verdict
from compd.search.shift_rates import ShiftRate, ShiftRates
from compd.text import shortened

__all__ = [
    "Answer",
    "Finding",
    "Flipped",
    "Stability",
    "Summary",
    "Tally",
    "Worst",
    "worst_by_seed",
]


class Stability(StrEnum):
    """What a finding depends on."""

    STABLE = "stable"  # it held in all replays
    FLAKY = "flaky"  # not in each of several equal replays
    BATCH = "batch-dependent"  # not on its own
    OPTIMISATION = "optimisation-dependent"  # not with the runtime's optimisation off
    ENGINE = "engine-dependent"  # not on each of the engines given


@dataclass(frozen=True)
class Answer:
    """One model's answer to one image."""

    label: int
    name: str
    confidence: float
    margin: float
    top: tuple[tuple[str, float], ...]  # class and probability, most probable first

    def __repr__(self) -> str:
        name = shortened(self.name, 60)
        return f"Answer({name}, confidence {self.confidence:.3f}, margin {self.margin:.3f})"

    @classmethod
    def of(cls, answers: Answers, i: int, classes: tuple[str, ...]) -> Answer:
        """Pick one image out of a batch; probabilities are rounded to six digits."""
        label = int(answers.label[i])
        top = zip(
            answers.top_labels[i].tolist(), answers.top_probabilities[i].tolist(), strict=True
        )
        return cls(
            label=label,
            name=classes[label],
            confidence=round(float(answers.confidence[i]), 6),
            margin=round(float(answers.margin[i]), 6),
            top=tuple((classes[k], round(p, 6)) for k, p in top),
        )


@dataclass(frozen=True)
class Finding:
    """One judged candidate that is worth keeping."""

    image: Tensor = field(repr=False)  # uint8 (C, H, W)
    seed_image: Tensor = field(repr=False)  # uint8 (C, H, W)
    sha256: str  # of the image's pixels
    seed_sha256: str
    seed_row: str  # for example "test[12]"
    seed_label: int  # the original's answer to the seed
    true_label: int | None  # what the data set says; None if it does not
    verdict: Verdict
    original: Answer
    deployed: Answer
    severity: float  # min of both margins; 0 unless effective
    linf: int  # levels of 255
    l2: float  # root mean square over pixels and channels, values in 0..1
    psnr: float | None  # decibels; None if nothing changed
    step: int  # candidates of this seed that were judged in earlier proposals
    stability: Stability | None = None  # None: not replayed
    shift: str | None = None  # what was done to the seed, where that has a name: "fog:3"

    def __str__(self) -> str:
        if self.verdict is not Verdict.EFFECTIVE:
            return f"{self.seed_row}: {self.verdict}, Linf {self.linf}/255"
        how = f"Linf {self.linf}/255" if self.shift is None else self.shift
        return (
            f"{self.seed_row}: {self.original.name} → {self.deployed.name}, severity "
            f"{self.severity:.3f}, {how}"
        )

    def __repr__(self) -> str:
        return shortened(f"Finding({self})")

    def _repr_html_(self) -> str:
        """As notebooks show it: pictures, and both models' answers."""
        from compd.search.shown import finding_html

        return finding_html(self)

    @classmethod
    def of(
        cls,
        judgement: Judgement,
        i: int,
        *,
        seed_image: Tensor,
        seed_sha256: str,
        seed_row: str,
        seed_label: int,
        true_label: int | None,
        classes: tuple[str, ...],
        step: int,
        shift: str | None = None,
    ) -> Finding:
        """The ``i``-th of some judged candidates, with what is known of its seed."""
        image = judgement.images[i]
        far = distances(image[None], seed_image[None])
        return cls(
            image=image,
            seed_image=seed_image,
            sha256=pixel_hash(image),
            seed_sha256=seed_sha256,
            seed_row=seed_row,
            seed_label=seed_label,
            true_label=true_label,
            verdict=judgement.verdict(i),
            original=Answer.of(judgement.original, i, classes),
            deployed=Answer.of(judgement.deployed, i, classes),
            severity=round(float(judgement.severity[i]), 6),
            linf=int(far.linf[0]),
            l2=round(float(far.l2[0]), 6),
            psnr=round(float(far.psnr[0]), 3) if int(far.linf[0]) else None,
            step=step,
            shift=shift,
        )


def worst_by_seed(findings: Iterable[Finding]) -> dict[str, float]:
    """Each seed's highest severity, of the seeds that have any, by their rows."""
    worst: dict[str, float] = {}
    for finding in findings:
        worst[finding.seed_row] = max(worst.get(finding.seed_row, 0.0), finding.severity)
    return worst


@dataclass(frozen=True)
class Worst:
    """The most severe deviation of a campaign, without its image."""

    sha256: str  # of the image's pixels
    seed_row: str  # for example "test[12]"
    original: Answer
    deployed: Answer
    severity: float  # 0..1
    shift: str | None = None  # what was done to its seed, where that has a name

    @classmethod
    def of(cls, finding: Finding) -> Worst:
        """All of a finding that is small."""
        one = finding
        return cls(one.sha256, one.seed_row, one.original, one.deployed, one.severity, one.shift)


@dataclass(frozen=True, slots=True)
class Flipped:
    """The most severe deviation from one seed, as far as counts by class need it."""

    source: str  # the class that the original gives the seed, and the deviation
    target: str  # the class that the deployed model gives the deviation
    severity: float  # 0..1
    confidence: float  # of the model that is less sure, 0..1

    @classmethod
    def of(cls, finding: Finding) -> Flipped:
        """The four of a finding."""
        before, after = finding.original, finding.deployed
        least = min(before.confidence, after.confidence)
        return cls(before.name, after.name, finding.severity, least)


@dataclass(frozen=True)
class Summary:
    """A campaign in numbers."""

    seeds: int  # searched from
    seeds_effective: int
    seeds_set_aside: int  # on which the pair disagrees untouched
    seeds_wrong: int  # set aside, too, since the original gets them wrong
    images_effective: int
    images_valid: int
    images_invalid: int
    severity_median: float | None  # over effective images; None if there are none
    severity_p90: float | None
    severity_max: float | None
    worst: Worst | None
    linf_max: int | None
    l2_mean: float | None
    gradients_per_seed: float
    forwards_per_seed: (
        float  # candidates judged, each on both models; the proof of what is kept not counted
    )
    seconds: float
    model_seconds: float  # of these inside model calls
    stopped: str  # "done", "time" or "interrupted"
    notes: tuple[str, ...] = ()  # what the campaign decided by itself
    shifts: tuple[ShiftRate, ...] = ()  # what each did to the seeds, where shifts were tried

    def __str__(self) -> str:
        from compd.search.shown import summary_text

        return summary_text(self)

    def _repr_html_(self) -> str:
        """As notebooks show it: a table."""
        from compd.search.shown import summary_html

        return summary_html(self)


class Tally:
    """Counts verdicts as they come, in constant memory but for a few numbers a deviation."""

    def __init__(self) -> None:
        self.seeds = 0
        self.searched: Counter[int] = Counter()  # of these, by the label of both models
        self.counts = dict.fromkeys(Verdict, 0)
        self.severities: list[float] = []
        self.worst: Worst | None = None
        self.linf_max = 0
        self.l2_sum = 0.0
        self.gradients = 0
        self.forwards = 0
        self.flipped: dict[str, Flipped] = {}  # by the row of the seed
        self.blind = 0  # seeds without a gradient
        self.shifts = ShiftRates()

    def evaluated(self, judgement: Judgement) -> None:
        """Count what a search saw and what did not deviate; deviations count when proved."""
        self.forwards += len(judgement.images)
        self.counts[Verdict.VALID] += int(judgement.valid.sum())
        self.counts[Verdict.INVALID] += int((~judgement.kept).sum())

    def add(self, finding: Finding) -> None:
        """Count one proved deviation."""
        self.counts[Verdict.EFFECTIVE] += 1
        self.severities.append(finding.severity)
        if self.worst is None or finding.severity > self.worst.severity:
            self.worst = Worst.of(finding)
        self.linf_max = max(self.linf_max, finding.linf)
        self.l2_sum += finding.l2
        known = self.flipped.get(finding.seed_row)
        if known is None or finding.severity > known.severity:
            self.flipped[finding.seed_row] = Flipped.of(finding)

    def facts(self, seconds: float, waiting: int, severity: float) -> dict[str, str]:
        """The sums so far, for a display.

        Args:
            seconds: that it took.
            waiting: seeds with a deviation that is not proved yet.
            severity: of the most severe of these.
        """
        found = len(self.flipped) + waiting
        return {
            "found": f"{found} ({found / max(seconds, 1e-9):.1f}/s)",
            "worst": f"{max(severity, self.worst.severity if self.worst else 0.0):.2f}",
        }

    def summary(
        self,
        *,
        set_aside: int,
        wrong: int = 0,
        seconds: float,
        model_seconds: float,
        stopped: str,
        notes: tuple[str, ...] = (),
    ) -> Summary:
        """The sums so far."""
        found = len(self.severities)
        quantile = np.quantile(self.severities, [0.5, 0.9, 1.0]) if found else None
        return Summary(
            seeds=self.seeds,
            seeds_effective=len(self.flipped),
            seeds_set_aside=set_aside,
            seeds_wrong=wrong,
            images_effective=self.counts[Verdict.EFFECTIVE],
            images_valid=self.counts[Verdict.VALID],
            images_invalid=self.counts[Verdict.INVALID],
            severity_median=None if quantile is None else round(float(quantile[0]), 6),
            severity_p90=None if quantile is None else round(float(quantile[1]), 6),
            severity_max=None if quantile is None else round(float(quantile[2]), 6),
            worst=self.worst,
            linf_max=self.linf_max if found else None,
            l2_mean=round(self.l2_sum / found, 6) if found else None,
            gradients_per_seed=round(self.gradients / max(1, self.seeds), 3),
            forwards_per_seed=round(self.forwards / max(1, self.seeds), 3),
            seconds=round(seconds, 3),
            model_seconds=round(model_seconds, 3),
            stopped=stopped,
            notes=notes,
            shifts=self.shifts.rates(),
        )
