"""The verdict on a repair: before and after, on rows that nothing else has touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.data import Split, Splits
from compd.models.inputs import predict
from compd.pair import Pair
from compd.repairing.attacks import fgsm, pgd
from compd.repairing.clean import CleanChange, measure_clean
from compd.repairing.fresh import Fresh, agreed_seeds, compare, search, searches_of
from compd.repairing.settings import RepairSettings
from compd.search import Campaign, Finding, Judge, SearchSettings

__all__ = ["RepairVerdict", "Robust", "verdict_on"]

FGSM_LEVELS = (2, 8, 16)  # of 255, as in the paper's Table 4
PGD_LEVELS = 8
_PGD_STEPS = 20
_PGD_IMAGES = 2  # for each seed of the searches


@dataclass(frozen=True)
class Robust:
    """Accuracy under one attack on the true label, made on each model's own gradients."""

    attack: str
    images: int
    original: float
    before: float  # made on the shadow, judged on the deployed model
    after: float


@dataclass(frozen=True)
class RepairVerdict:
    """All that is measured of a repair."""

    clean: CleanChange
    corpus_effective_before: int  # of all readable entries, trained on or not
    corpus_effective_after: int
    heldout_effective_before: int  # findings searched on the pair as it was, never trained on
    heldout_effective_after: int
    fresh: tuple[Fresh, ...]
    robust: tuple[Robust, ...]


def verdict_on(
    before: Pair,
    after: Pair,
    pictures: Tensor,
    labels: Tensor,
    splits: Splits,
    settings: RepairSettings,
    *,
    control: Control = QUIET,
) -> RepairVerdict:
    """Measure both pairs on held-out rows, and on the corpus.

    Args:
        before: the pair as it was.
        after: the repaired one.
        pictures: uint8 (N, C, H, W), the corpus.
        labels: int64 (N,), what the original answers on their seeds.
        splits: the data; only ``heldout`` is used. Its first half gives the seeds of searches.
        settings: of the repair.
        control: told of progress, and asked whether to stop.

    Raises:
        Stopped: if it is told to stop; what was measured so far is lost.
    """
    heldout = splits.heldout
    searches = searches_of(settings)
    done, total = 0, 2 * len(searches) + 3

    def tick() -> None:
        nonlocal done
        control.check()
        done += 1
        control.report("verdict", done, total)

    def searched(pair: Pair, seeds: Split, how: SearchSettings) -> tuple[Campaign, list[Finding]]:
        campaign, findings = search(pair, seeds, how, control)
        tick()
        return campaign, findings

    clean = measure_clean(before, after, heldout)
    tick()
    first = SearchSettings(eps=settings.eps, limit=settings.verdict_seeds)
    _, found = searched(before, agreed_seeds(heldout, before), first)
    seeds = agreed_seeds(heldout, before, after)
    fresh = [
        compare(name, searched(before, seeds, how), searched(after, seeds, how))
        for name, how in searches.items()
    ]
    heldout_images = torch.stack([f.image for f in found]) if found else seeds.images[:0]
    heldout_labels = torch.tensor([f.seed_label for f in found], dtype=torch.int64)
    robust = _robust(before, after, heldout, _PGD_IMAGES * settings.verdict_seeds, control)
    tick()
    return RepairVerdict(
        clean=clean,
        corpus_effective_before=_effective(before, pictures, labels),
        corpus_effective_after=_effective(after, pictures, labels),
        heldout_effective_before=_effective(before, heldout_images, heldout_labels),
        heldout_effective_after=_effective(after, heldout_images, heldout_labels),
        fresh=tuple(fresh),
        robust=tuple(robust),
    )


def _effective(pair: Pair, images: Tensor, labels: Tensor) -> int:
    """How many images the original keeps its label on while the deployed model does not."""
    if not len(images):
        return 0
    judge = Judge(pair)
    return sum(
        int(judge.confirm(images[i : i + 256], labels[i : i + 256]).effective.sum())
        for i in range(0, len(images), 256)
    )


def _robust(
    before: Pair,
    after: Pair,
    heldout: Split,
    count: int,
    control: Control,
) -> list[Robust]:
    """Attack each model; by PGD on the first ``count`` images only."""
    runs: dict[str, tuple[torch.nn.Module, Callable[[Tensor], Tensor]]] = {
        "original": (before.original, before.reference.run),
        "before": (before.shadow, before.deployed.run),
        "after": (after.shadow, after.deployed.run),
    }
    images, labels, device = heldout.images, heldout.labels, before.device
    few = slice(0, count)
    accuracies: dict[str, dict[str, float]] = {}
    for number, (who, (model, run)) in enumerate(runs.items()):

        def accuracy(candidates: Tensor, truth: Tensor, run: Callable[[Tensor], Tensor]) -> float:
            return float((predict(run, candidates).argmax(1) == truth).double().mean())

        def step_done(step: int, before: int = number * _PGD_STEPS) -> None:
            control.check()
            control.report("attacking", before + step, len(runs) * _PGD_STEPS)

        for eps, moved in fgsm(model, images, labels, FGSM_LEVELS, device=device).items():
            accuracies.setdefault(f"FGSM {eps}/255", {})[who] = accuracy(moved, labels, run)
        moved = pgd(
            model,
            images[few],
            labels[few],
            PGD_LEVELS,
            steps=_PGD_STEPS,
            device=device,
            step_done=step_done,
        )
        name = f"PGD-{_PGD_STEPS} {PGD_LEVELS}/255"
        accuracies.setdefault(name, {})[who] = accuracy(moved, labels[few], run)
    return [
        Robust(name, len(images[few]) if "PGD" in name else len(images), **values)
        for name, values in accuracies.items()
    ]
