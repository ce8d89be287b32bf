"""Disagreement on clean and on shifted images (Hu et al. 2022, RQ1; Langille 2024)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from compd.compress.clipping import clipped_shares
from compd.errors import SettingError
from compd.logits import disagrees
from compd.pair.flips import ClassFlips, Flips, class_flips
from compd.statistics import Share, holm, mcnemar
from compd.studies.base import Study
from compd.studies.bench import Answered, Bench
from compd.studies.metrics import f1, top_k

__all__ = ["SHIFTS_STUDY", "Both", "SetFigures", "Shifts", "ShiftsResult"]

_TOP = 5
_FULL = 20  # classes up to which the flips of each are kept for every set


@dataclass(frozen=True)
class Shifts:
    """Settings of the study."""

    clip_images: int = 128  # of each set, on which clipped values are counted; 0: on none

    def __post_init__(self) -> None:
        if self.clip_images < 0:
            raise SettingError("clip_images >= 0", clip_images=self.clip_images)


@dataclass(frozen=True)
class Both:
    """A figure of both models."""

    original: float
    deployed: float


@dataclass(frozen=True)
class SetFigures:
    """What the models of a pair do on one set."""

    name: str
    kind: str | None  # of shift; None for clean images and other data
    severity: float | None
    images: int
    rows: str
    accuracy_original: float | None  # 0..1; None where nobody labelled the images
    accuracy_deployed: float | None
    accuracy_change: float | None  # deployed minus original
    accuracy_p_value: float | None  # McNemar's, of correctness
    flips: Flips | None
    negative_flips: Share | None
    disagreement: Share  # where an application that takes the first largest answers otherwise
    argmax_count: int  # the same where both answers are finite, as the papers count
    not_finite: int  # images to which a model answers NaN or an infinity: they differ
    ties: int  # of the disagreement: exact ties, in which the original's label takes part
    factor: float | None  # over the disagreement on clean images; None where there is none
    p_value: float | None  # of more or less disagreement than on the same images clean (Holm)
    kl: float | None  # mean of KL(original || deployed), nats, where both are finite
    top5: Both | None  # where there are more than ten classes
    f1_macro: Both | None
    f1_weighted: Both | None
    clipped: float | None  # of the activations, at the layer with most; None without an int8 shadow
    clipped_layer: str | None
    clipped_above: float | None  # beyond the top of a range alone, at the layer with most
    losing: tuple[str, ...]  # classes on which the deployed model is worse, beyond chance
    classes: tuple[ClassFlips, ...]  # of clean images, and of all sets where classes are few


@dataclass(frozen=True)
class ShiftsResult:
    """Clean images and all other sets, most disagreement first."""

    clean: SetFigures
    sets: tuple[SetFigures, ...]
    better: int  # sets on which the deployed model has the higher accuracy
    worse: int
    better_surely: int  # of these, beyond chance (McNemar's test on correctness, Holm)
    worse_surely: int

    def of(self, name: str) -> SetFigures:
        """The figures of a set by its name."""
        return next(one for one in (self.clean, *self.sets) if one.name == name)


def _run(config: Shifts, bench: Bench) -> ShiftsResult:
    base: Tensor | None = None  # where the two differ on clean images
    found: list[SetFigures] = []
    for answered in bench.each("shifting"):
        one = _figures(config, bench, answered, base)
        base = answered.apart if base is None else base
        found.append(one)
    compared = [i for i, one in enumerate(found) if one.p_value is not None]
    corrected = holm([found[i].p_value or 0.0 for i in compared])
    for i, p_value in zip(compared, corrected, strict=True):
        found[i] = _with(found[i], p_value=p_value)
    clean, rest = found[0], found[1:]
    return ShiftsResult(
        clean,
        tuple(sorted(rest, key=lambda one: (-one.disagreement.share, one.name))),
        *_directions(rest),
    )


def _figures(config: Shifts, bench: Bench, answered: Answered, base: Tensor | None) -> SetFigures:
    images = answered.images
    first, second = answered.labels
    apart, n = answered.apart, len(images)
    before = None if base is None else int(base.sum())
    p_value = factor = None
    if before and base is not None:
        factor = (int(apart.sum()) / n) / (before / len(base))
    if base is not None and images.paired:
        p_value = mcnemar(int((apart & ~base).sum()), int((base & ~apart).sum()))
    clip = _clipped(config, bench, answered)
    labelled = images.labelled
    flips = Flips.count_of(first, second, images.labels) if labelled else None
    classes = class_flips(first, second, images.labels, bench.pair.classes) if labelled else ()
    whole = base is None or len(bench.pair.classes) <= _FULL
    return SetFigures(
        name=images.name,
        kind=None if images.shift is None else images.shift.kind,
        severity=None if images.shift is None else float(images.shift.severity),
        images=n,
        rows=images.rows,
        accuracy_original=answered.accuracy(False),
        accuracy_deployed=answered.accuracy(True),
        accuracy_change=None if flips is None else (flips.only_deployed - flips.only_original) / n,
        accuracy_p_value=None if flips is None else flips.p_value,
        flips=flips,
        negative_flips=None if flips is None else flips.negative,
        disagreement=answered.disagreement,
        argmax_count=int(((first != second) & answered.finite).sum()),
        not_finite=int((~answered.finite).sum()),
        ties=int((apart & ~disagrees(answered.deployed, first.clamp(min=0))).sum()),
        factor=factor,
        p_value=p_value,
        kl=answered.divergence,
        top5=_top5(answered) if labelled and len(bench.pair.classes) > 2 * _TOP else None,
        **_f1(answered, labelled),
        clipped=None if clip is None else clip[0],
        clipped_layer=None if clip is None else clip[1],
        clipped_above=None if clip is None else clip[2],
        losing=tuple(one.name for one in classes if one.loses),
        classes=classes if whole else (),
    )


def _top5(answered: Answered) -> Both:
    truth = answered.images.labels.numpy()
    return Both(
        top_k(answered.original.double().numpy(), truth, _TOP),
        top_k(answered.deployed.double().numpy(), truth, _TOP),
    )


def _f1(answered: Answered, labelled: bool) -> dict[str, Both | None]:
    if not labelled:
        return {"f1_macro": None, "f1_weighted": None}
    truth = answered.images.labels.numpy()
    (macro, weighted), (macro_d, weighted_d) = (f1(truth, said.numpy()) for said in answered.labels)
    return {"f1_macro": Both(macro, macro_d), "f1_weighted": Both(weighted, weighted_d)}


def _clipped(config: Shifts, bench: Bench, answered: Answered) -> tuple[float, str, float] | None:
    """The share at the layer that clips most, and its name."""
    if not config.clip_images or not bench.pair.has_shadow or not bench.pair.rebuilds:
        return None
    some = answered.images.images(0, min(config.clip_images, len(answered.images)))
    with bench.control.clock.running():
        found = clipped_shares(
            bench.pair.shadow, some, simulated=bench.pair.deployed.engine.startswith("simulated")
        )
    if not found:
        return None
    return found[0].share, found[0].layer, max(one.above for one in found)


def _directions(sets: list[SetFigures]) -> tuple[int, int, int, int]:
    """On how many sets the deployed model is better and worse, and on how many beyond chance."""
    changes = [(one.accuracy_change, one.accuracy_p_value) for one in sets]
    known = [(change, p) for change, p in changes if change is not None and p is not None]
    sure = np.array(holm([p for _, p in known])) < 0.05
    up = np.array([change > 0 for change, _ in known], dtype=bool)
    down = np.array([change < 0 for change, _ in known], dtype=bool)
    return int(up.sum()), int(down.sum()), int((up & sure).sum()), int((down & sure).sum())


def _with(one: SetFigures, **changes: object) -> SetFigures:
    return replace(one, **changes)  # type: ignore[arg-type]


SHIFTS_STUDY = Study(Shifts, _run, ShiftsResult)
