"""Walks: searches of one seed each, run side by side so that models see large batches.

A walk knows its own seed, its own box and its own draws, and nothing of its neighbours. So what it
finds cannot depend on the batch, and it reads like the algorithm of one image that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from compd.search.judge import Judgement
from compd.search.strategies.base import Proposal, Search, Task

__all__ = ["Image", "Reply", "Seed", "SeedSearch", "searched_per_seed"]

Image: TypeAlias = NDArray[np.uint8]  # (C, H, W)


@dataclass(frozen=True)
class Seed:
    """What a walk starts from."""

    image: Image  # uint8 (C, H, W)
    low: Image  # the box of allowed values
    high: Image
    draw: np.random.Generator  # of this seed alone, for the whole walk
    classes: int


@dataclass(frozen=True)
class Reply:
    """What both models say of one candidate."""

    effective: bool
    kept: bool  # whether the original keeps its label for the seed
    severity: float  # 0..1; 0 unless effective
    confidence: tuple[float, float]  # p(top-1) of the original, and of the deployed model
    logit_margin: tuple[float, float]  # of the label for the seed, of both
    top: tuple[tuple[NDArray[np.int64], NDArray[np.float32]], ...]  # labels, probabilities, of both


# Yields candidates, is sent the reply to each of them, returns when it is done.
SeedSearch: TypeAlias = Generator[Sequence[Image], list[Reply], None]


def searched_per_seed(task: Task, walk: Callable[[Seed], SeedSearch], queries: int) -> Search:
    """Run one walk a seed until all are done or have had so many candidates judged.

    Args:
        task: the seeds.
        walk: makes the walk of one seed.
        queries: candidates a seed at most; what a walk asks beyond that is not judged.
    """
    draws = task.draws(0)
    low, high = task.bound.box(task.images)
    classes = len(task.pair.classes)
    walks = {
        i: walk(Seed(image, lowest, highest, draws[i], classes))
        for i, (image, lowest, highest) in enumerate(
            zip(task.images.numpy(), low.numpy(), high.numpy(), strict=True)
        )
    }
    left = dict.fromkeys(walks, queries)
    asked = {i: list(next(w, ()))[:queries] for i, w in walks.items()}
    while asked := {i: images for i, images in asked.items() if images}:
        task.share = 1 - min(left.values()) / queries
        owners = np.repeat(list(asked), [len(images) for images in asked.values()])
        candidates = np.stack([image for images in asked.values() for image in images])
        judgement = yield Proposal(torch.from_numpy(candidates), torch.from_numpy(owners))
        replies = iter(_replies(judgement))
        for i, images in asked.items():
            left[i] -= len(images)
            mine = [next(replies) for _ in images]
            asked[i] = list(_sent(walks[i], mine))[: left[i]] if left[i] else []


def _sent(walk: SeedSearch, replies: list[Reply]) -> Sequence[Image]:
    try:
        return walk.send(replies)
    except StopIteration:
        return ()


def _replies(judgement: Judgement) -> list[Reply]:
    """A judgement, candidate by candidate, without tensors: scalars of tensors are slow to read."""
    kept = judgement.kept.tolist()
    sides = (judgement.original, judgement.deployed)
    margins = (judgement.original_logit_margin.tolist(), judgement.deployed_logit_margin.tolist())
    confidences = [side.confidence.tolist() for side in sides]
    tops = [(side.top_labels.numpy(), side.top_probabilities.numpy()) for side in sides]
    effective, severity = judgement.effective.tolist(), judgement.severity.tolist()
    return [
        Reply(
            effective=effective[i],
            kept=kept[i],
            severity=severity[i],
            confidence=(confidences[0][i], confidences[1][i]),
            logit_margin=(margins[0][i], margins[1][i]),
            top=tuple((names[i], values[i]) for names, values in tops),
        )
        for i in range(len(kept))
    ]
