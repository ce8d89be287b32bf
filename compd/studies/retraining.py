"""Whether training on disagreements mends them (Hu et al. 2022, RQ4).

As published, the images that are counted are those that were trained on. Held out, what is found on
the seed rows is trained on, and the held-out rows are counted. Both are told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from compd.compress import fine_tuning, make_shadow
from compd.compress.qat import Qat
from compd.data import Split
from compd.errors import SettingError, unknown
from compd.pair import Pair
from compd.statistics import mcnemar
from compd.studies.base import Study, trainable
from compd.studies.bench import Bench, margins_of
from compd.studies.strategies import trained_on

__all__ = ["RETRAINING", "Counted", "Retraining", "RetrainingResult"]

_LABELS = ("truth", "original")
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Retraining:
    """Settings of the study."""

    labels: str = "truth"  # of the disagreeing images: truth (published), or the original's answers
    epochs: int = 5  # as published; 10 on CIFAR-10
    lr: float = 0.01  # peak; not published
    batch: int = 64

    def __post_init__(self) -> None:
        if self.labels not in _LABELS:
            raise unknown("labels", self.labels, _LABELS)
        if self.epochs < 1:
            raise SettingError("at least one epoch", epochs=self.epochs)


@dataclass(frozen=True)
class Counted:
    """Disagreements on the same rows, before and after."""

    images: int
    trained_on: int  # disagreeing images that joined the training rows
    before: int
    after: int
    fixed: int  # before alone
    stubborn: int  # before and after
    new: int  # after alone
    p_value: float  # McNemar's exact test of fixed against new
    margin_before: float | None  # mean margin of the original on the stubborn ones; None: none is
    margin_after: float | None
    accuracy_original: tuple[float, float] | None  # before, after
    accuracy_deployed: tuple[float, float] | None


@dataclass(frozen=True)
class RetrainingResult:
    """The honest count, and the published one."""

    labels: str
    epochs: int
    heldout: Counted
    published: Counted


def _run(config: Retraining, bench: Bench) -> RetrainingResult:
    splits, limit = bench.splits, len(bench.clean)
    assert splits is not None
    seeds, heldout = splits.seeds.first(limit), splits.heldout.first(limit)
    whole = splits.test().first(limit)
    bench.control.report("retraining", 0, 2, {"protocol": "held-out"})
    honest = _count(config, bench, seeds, heldout)
    bench.control.report("retraining", 1, 2, {"protocol": "published"})
    published = _count(config, bench, whole, whole)
    bench.control.report("retraining", 2, 2)
    return RetrainingResult(config.labels, config.epochs, honest, published)


def _count(config: Retraining, bench: Bench, learnt: Split, judged: Split) -> Counted:
    """Train on what disagrees of some rows, and count on others, or on the same."""
    splits, pair = bench.splits, bench.pair
    assert splits is not None
    said, shipped = (pair.answers.of(one, learnt.images) for one in (pair.reference, pair.deployed))
    rows = (said.argmax(1) != shipped.argmax(1)).nonzero()[:, 0]
    labels = learnt.labels[rows] if config.labels == "truth" else said.argmax(1)[rows]
    train = splits.train
    joined = replace(
        train,
        images=torch.cat([train.images, learnt.images[rows]]),
        labels=torch.cat([train.labels, labels]),
        index=torch.cat([train.index, learnt.index[rows]]),
    )
    schedule = fine_tuning(Qat(config.epochs, config.lr, config.batch), splits)
    network = trained_on(bench, schedule, bench.control.quiet, joined)
    compress = pair.spec.compress
    shadow = make_shadow(compress, network, splits, device=_CPU, control=bench.control.quiet)
    after = Pair(pair.spec, network, shadow, device=_CPU)
    first, second = _answers(pair, judged), _answers(after, judged)
    was, now = (o.argmax(1) != d.argmax(1) for o, d in (first, second))
    both = was & now
    fixed, new = int((was & ~now).sum()), int((now & ~was).sum())
    margins = [
        float(margins_of(original, "softmax")[both].mean()) if both.any() else None
        for original, _ in (first, second)
    ]
    right = [
        [float((logits.argmax(1) == judged.labels).double().mean()) for logits in answers]
        for answers in (first, second)
    ]
    return Counted(
        images=len(judged),
        trained_on=len(rows),
        before=int(was.sum()),
        after=int(now.sum()),
        fixed=fixed,
        stubborn=int(both.sum()),
        new=new,
        p_value=mcnemar(fixed, new),
        margin_before=margins[0],
        margin_after=margins[1],
        accuracy_original=(right[0][0], right[1][0]) if judged.labelled else None,
        accuracy_deployed=(right[0][1], right[1][1]) if judged.labelled else None,
    )


def _answers(pair: Pair, rows: Split) -> tuple[Tensor, Tensor]:
    original, deployed = (
        pair.answers.of(one, rows.images) for one in (pair.reference, pair.deployed)
    )
    return original, deployed


def _lacks(config: Retraining, bench: Bench) -> str:
    why = trainable(config, bench)
    if not why and config.labels == "truth" and not bench.clean.labelled:
        return "the images have no labels: pass labels=original"
    return why


RETRAINING = Study(Retraining, _run, RetrainingResult, lacks=_lacks)
