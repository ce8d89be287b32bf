"""The verdict on a repair: before and after, on rows that nothing else has touched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.agreement import strays
from compd.corpus import Record
from compd.data import Split, Splits
from compd.errors import CompdError
from compd.fuzz import (
    Blackbox,
    Boundary,
    Campaign,
    Compd,
    Diva,
    Finding,
    Judge,
    Pgd,
)  # fmt: skip
from compd.fuzz import Settings as Search
from compd.models.inputs import predict
from compd.pair import Pair
from compd.progress import Progress, Report, silent
from compd.repair.attacks import fgsm, pgd
from compd.repair.intervals import Share, mcnemar
from compd.repair.settings import Settings

__all__ = ["Clean", "Fresh", "Robust", "Verdict", "verdict_on"]

LEVELS = (0.05, 0.2, 0.5)  # of severity
FGSM_LEVELS = (2, 8, 16)  # of 255, as in the paper's Table 4
PGD_LEVELS = 8
_PGD_IMAGES = 500
_DROP_WORTH_A_NAME = 0.01  # of a class's accuracy


@dataclass(frozen=True)
class Clean:
    """Both compressed models and the original on untouched held-out images."""

    rows: str
    images: int
    accuracy_original: float
    accuracy_before: float
    accuracy_after: float
    top5: Mapping[str, float] | None  # the same three by name; None for ten classes or fewer
    accuracy_by_class: Mapping[str, tuple[float, float, float]]  # original, before, after
    worse_classes: tuple[str, ...]  # those that lost more than 0.01
    natural_before: Share  # where the deployed model's answer differs from the original's
    natural_after: Share
    fixed: Share  # images: differed before, agrees now
    stubborn: Share
    new: Share
    p_value: float  # McNemar's exact test of before against after
    kl_before: float  # mean divergence from the original, nats
    kl_after: float


@dataclass(frozen=True)
class Fresh:
    """One search, before and after, from the same held-out seeds with the same budget."""

    search: str
    seeds: int
    effective_before: Share
    effective_after: Share
    severity_shares_before: Mapping[str, float]  # "0.2" -> share of all seeds that reach it
    severity_shares_after: Mapping[str, float]


@dataclass(frozen=True)
class Robust:
    """Accuracy under one attack on the true label, made on each model's own gradients."""

    attack: str
    images: int
    original: float
    before: float  # made on the shadow, judged on the deployed model
    after: float


@dataclass(frozen=True)
class Verdict:
    """All that is measured of a repair."""

    clean: Clean
    corpus_effective_before: int
    corpus_effective_after: int
    heldout_effective_before: int  # findings searched on the pair as it was, never trained on
    heldout_effective_after: int
    fresh: tuple[Fresh, ...]
    robust: tuple[Robust, ...]


def searches_of(settings: Settings) -> dict[str, Search]:
    """The searches of a verdict by name."""
    common = Search(
        eps=settings.eps, limit=settings.verdict_seeds, random_seed=settings.random_seed + 101
    )
    known: dict[str, dict[str, Any]] = {
        "boundary, severe": {"strategy": Boundary(), "goal": "severe"},
        "boundary, first": {"strategy": Boundary()},
        "diva": {"strategy": Diva()},
        "pgd": {"strategy": Pgd()},
        "compd": {"strategy": Compd()},
        "blackbox": {"strategy": Blackbox(queries=200)},
    }
    return {name: replace(common, **known[name]) for name in settings.searches}


def verdict_on(
    before: Pair,
    after: Pair,
    records: tuple[Record, ...],
    images: Tensor,
    splits: Splits,
    settings: Settings,
    *,
    stop: threading.Event | None = None,
    report: Report = silent,
) -> Verdict:
    """Measure both pairs on held-out rows, and on the corpus.

    Args:
        before: the pair as it was.
        after: the repaired one.
        records: entries of the corpus.
        images: uint8 (N, C, H, W), their pictures.
        splits: the data; only ``heldout`` is used. Its first half gives the seeds of searches.
        settings: of the repair.
        stop: set it to end early.
        report: told of progress.

    Raises:
        KeyboardInterrupt: if ``stop`` is set.
    """
    heldout = splits.heldout
    seeds = _common_seeds(before, after, heldout)
    searches = searches_of(settings)
    done, total = 0, 2 * len(searches) + 2

    def tick() -> None:
        nonlocal done
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
        done += 1
        report(Progress("verdict", done, total))

    clean = _clean(before, after, heldout)
    tick()
    _, found = _run(before, seeds, Search(eps=settings.eps, limit=settings.verdict_seeds), stop)
    fresh = []
    for name, search in searches.items():
        campaigns = []
        for pair in (before, after):
            campaign, findings = _run(pair, seeds, search, stop)
            campaigns.append((campaign, findings))
            tick()
        fresh.append(_fresh(name, *campaigns))
    labels = torch.tensor([record.seed_label for record in records])
    heldout_images = torch.stack([f.image for f in found]) if found else seeds.images[:0]
    heldout_labels = torch.tensor([f.seed_label for f in found], dtype=torch.int64)
    robust = _robust(before, after, heldout, report)
    tick()
    return Verdict(
        clean=clean,
        corpus_effective_before=_effective(before, images, labels),
        corpus_effective_after=_effective(after, images, labels),
        heldout_effective_before=_effective(before, heldout_images, heldout_labels),
        heldout_effective_after=_effective(after, heldout_images, heldout_labels),
        fresh=tuple(fresh),
        robust=tuple(robust),
    )


def _clean(before: Pair, after: Pair, heldout: Split) -> Clean:
    logits = {
        "original": predict(before.reference.run, heldout.images),
        "before": predict(before.deployed.run, heldout.images),
        "after": predict(after.deployed.run, heldout.images),
    }
    labels, n = heldout.labels, len(heldout)
    right = {name: (z.argmax(1) == labels).double() for name, z in logits.items()}
    by_class = {}
    for k, name in enumerate(before.classes):
        of_class = labels == k
        if of_class.any():
            accuracies = [float(right[who][of_class].mean()) for who in logits]
            by_class[name] = (accuracies[0], accuracies[1], accuracies[2])
    original = logits["original"].argmax(1)
    differed, differs = (strays(logits[who], original) for who in ("before", "after"))

    def share(where: Tensor) -> Share:
        return Share.count_of(int(where.sum()), n)

    def divergence(who: str) -> float:
        answers, own = logits["original"].log_softmax(1), logits[who].log_softmax(1)
        return float(F.kl_div(own, answers, log_target=True, reduction="batchmean"))

    return Clean(
        rows=heldout.rows,
        images=n,
        accuracy_original=float(right["original"].mean()),
        accuracy_before=float(right["before"].mean()),
        accuracy_after=float(right["after"].mean()),
        top5=None if len(before.classes) <= 10 else {
            who: float((z.topk(5).indices == labels[:, None]).any(1).double().mean())
            for who, z in logits.items()
        },
        accuracy_by_class=by_class,
        worse_classes=tuple(
            name for name, (_, was, now) in by_class.items() if was - now > _DROP_WORTH_A_NAME
        ),
        natural_before=share(differed),
        natural_after=share(differs),
        fixed=share(differed & ~differs),
        stubborn=share(differed & differs),
        new=share(~differed & differs),
        p_value=mcnemar(int((differed & ~differs).sum()), int((~differed & differs).sum())),
        kl_before=divergence("before"),
        kl_after=divergence("after"),
    )  # fmt: skip


def _run(
    pair: Pair, seeds: Split, search: Search, stop: threading.Event | None
) -> tuple[Campaign, list[Finding]]:
    campaign = Campaign(pair, seeds, search, stop=stop)
    return campaign, list(campaign)


def _fresh(
    name: str, before: tuple[Campaign, list[Finding]], after: tuple[Campaign, list[Finding]]
) -> Fresh:
    effective, shares = [], []
    count = before[0].summary().seeds
    for _, findings in (before, after):
        worst: dict[str, float] = {}
        for finding in findings:
            worst[finding.seed_row] = max(worst.get(finding.seed_row, 0.0), finding.severity)
        effective.append(Share.count_of(len(worst), count))
        shares.append(
            {
                f"{level:g}": sum(s >= level for s in worst.values()) / max(1, count)
                for level in LEVELS
            }
        )
    return Fresh(name, count, effective[0], effective[1], shares[0], shares[1])


def _effective(pair: Pair, images: Tensor, labels: Tensor) -> int:
    """How many images the original keeps its label on while the deployed model does not."""
    if not len(images):
        return 0
    judge = Judge(pair)
    return sum(
        int(judge(images[i : i + 256], labels[i : i + 256]).effective.sum())
        for i in range(0, len(images), 256)
    )


def _robust(before: Pair, after: Pair, heldout: Split, report: Report) -> list[Robust]:
    runs: dict[str, tuple[torch.nn.Module, Callable[[Tensor], Tensor]]] = {
        "original": (before.original, before.reference.run),
        "before": (before.shadow, before.deployed.run),
        "after": (after.shadow, after.deployed.run),
    }
    images, labels, device = heldout.images, heldout.labels, before.device
    few = slice(0, _PGD_IMAGES)
    accuracies: dict[str, dict[str, float]] = {}
    for who, (model, run) in runs.items():

        def accuracy(candidates: Tensor, truth: Tensor, run: Callable[[Tensor], Tensor]) -> float:
            return float((predict(run, candidates).argmax(1) == truth).double().mean())

        for eps, moved in fgsm(model, images, labels, FGSM_LEVELS, device=device).items():
            accuracies.setdefault(f"FGSM {eps}/255", {})[who] = accuracy(moved, labels, run)
        moved = pgd(model, images[few], labels[few], PGD_LEVELS, device=device)
        name = f"PGD-20 {PGD_LEVELS}/255"
        accuracies.setdefault(name, {})[who] = accuracy(moved, labels[few], run)
        report(Progress("attacking", len(accuracies), len(accuracies)))
    return [
        Robust(name, len(images[few]) if "PGD" in name else len(images), **values)
        for name, values in accuracies.items()
    ]


def _common_seeds(before: Pair, after: Pair, heldout: Split) -> Split:
    """The images of the first half on which the original and both compressed models agree."""
    images = heldout.images[: max(1, len(heldout) // 2)]
    original = predict(before.reference.run, images).argmax(1)
    agree = torch.ones_like(original, dtype=torch.bool)
    for pair in (before, after):
        agree &= ~strays(predict(pair.deployed.run, images), original)
    rows = agree.nonzero()[:, 0]
    if not len(rows):
        raise CompdError(
            f"expected held-out images on which all models agree, got none of {len(images)}"
        )
    return replace(
        heldout, images=heldout.images[rows], labels=heldout.labels[rows],
        index=heldout.index[rows],
    )  # fmt: skip
