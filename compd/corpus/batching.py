"""Running many shrinkings at once: whatever they ask for goes to the models in full batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from compd.corpus.shrink import Steps
from compd.corpus.trials import Ask, Judged, Outcome, Pixels, Reply, Slopes
from compd.logits import answers_of
from compd.models.inputs import steady, to_input
from compd.pair import Pair

__all__ = ["Job", "Models", "batched"]


@dataclass(frozen=True)
class Job:
    """One entry's shrinking, and the flip that it has to keep."""

    number: int  # whatever the caller knows it by
    steps: Steps
    original: int  # label that the original has to keep
    deployed: int  # label that the deployed model has to keep


class Models:
    """Answers what shrinkings ask; counts what that took.

    Args:
        pair: the models.
    """

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._gradients = (steady(pair.original), steady(pair.shadow)) if pair.has_shadow else None
        self.trials = 0  # images run on the deployed model
        self.forwards = 0  # of these, images that were run on the original, too
        self.gradients = 0  # images differentiated through the original and the shadow

    def outcomes(
        self, images: Tensor, original: Tensor, deployed: Tensor, least: Tensor
    ) -> list[Judged]:
        """What both real models say of trials.

        Args:
            images: uint8 (N, C, H, W).
            original: int64 (N,), labels that the original has to keep.
            deployed: int64 (N,), labels that the deployed model has to give.
            least: float (N,), margins that both have to give them with, 0..1.
        """
        # A forward on int8 costs a third of one on the original, and decides most trials alone.
        # A tie with the original's label is no deviation, as everywhere.
        first, second = self._pair.heads
        said = answers_of(self._pair.deployed.run(images), original, head=second)
        given = (said.label == deployed) & (said.margin >= least)
        outcomes = torch.full((len(images),), Outcome.SHORT)
        outcomes[given] = Outcome.OVER
        severity = said.margin.clone()
        if given.any():
            rows = given.nonzero()[:, 0]
            own = answers_of(self._pair.reference.run(images[given]), head=first)
            kept = (own.label == original[given]) & (own.margin >= least[given])
            outcomes[rows[kept]] = Outcome.FLIP
            severity[rows] = torch.minimum(severity[rows], own.margin)
        self.trials += len(images)
        self.forwards += int(given.sum())
        pairs = zip(outcomes.tolist(), severity.tolist(), strict=True)
        return [Judged(Outcome(outcome), one) for outcome, one in pairs]

    def slopes(self, images: Tensor, original: Tensor, deployed: Tensor) -> list[Slopes]:
        """Gradients of both models' margins between the two labels; shapes as above.

        Slopes only choose what to try: those of a pair without gradients are 0.
        """
        if self._gradients is None:
            flat = np.zeros(images.shape[1:], np.float32)
            return [Slopes(flat, flat, 0.0)] * len(images)
        self.gradients += len(images)
        count = len(images)
        device = self._pair.device
        labels = torch.stack([original, deployed], 1).to(device)  # (N, 2)
        # one leaf, both models side by side: one backward pass gives both gradients
        x = to_input(torch.cat([images, images]), device).requires_grad_()
        original_of, shadow_of = self._gradients
        both = [original_of(x[:count]).float(), shadow_of(x[count:]).float()]
        pairs = [logits.gather(1, labels) for logits in both]
        margins = torch.cat([pair[:, 0] - pair[:, 1] for pair in pairs])
        (gradient,) = torch.autograd.grad(margins.sum(), x)
        # a slope that is no number says nothing, and does no harm
        slopes = torch.nan_to_num(gradient / 255).cpu().contiguous().numpy()
        mean = ((margins[:count] + margins[count:]) / 2).detach().cpu().tolist()
        return [Slopes(slopes[i], slopes[count + i], mean[i]) for i in range(count)]


def batched(
    jobs: Iterator[Job], models: Models, *, batch: int
) -> Iterator[tuple[Job, Pixels | None] | None]:
    """Run jobs side by side; a new one starts when one ends, so that batches stay full.

    Args:
        jobs: taken from as needed.
        models: answer what is asked.
        batch: images a call.

    Yields:
        Each job with its result, as they end; None after each call of the models.
    """
    waiting: dict[bool, list[tuple[Job, Ask]]] = {False: [], True: []}  # trials, slopes
    more = True
    while True:
        # two batches of jobs: while some wait for gradients, the others fill a batch of trials
        while more and sum(map(len, waiting.values())) < 2 * batch:
            job = next(jobs, None)
            if job is None:
                more = False
                break
            yield from _advance(job, None, waiting)
        trials, slopes = waiting[False], waiting[True]
        if not trials and not slopes:
            return
        queue = trials if len(trials) >= min(batch, max(1, len(slopes))) else slopes
        called, queue[:] = queue[:batch], queue[batch:]
        answers = _answers(models, called, slopes=queue is slopes)
        for (job, _), reply in zip(called, answers, strict=True):
            yield from _advance(job, reply, waiting)
        yield None


def _answers(models: Models, called: Sequence[tuple[Job, Ask]], *, slopes: bool) -> Sequence[Reply]:
    """What the models say of a batch, all of one kind."""
    images = torch.from_numpy(np.stack([ask.image for _, ask in called]))
    labels = torch.tensor([(job.original, job.deployed) for job, _ in called])
    if slopes:
        return models.slopes(images, labels[:, 0], labels[:, 1])
    least = torch.tensor([ask.least for _, ask in called])
    return models.outcomes(images, labels[:, 0], labels[:, 1], least)


def _advance(
    job: Job, said: Reply | None, waiting: dict[bool, list[tuple[Job, Ask]]]
) -> Iterator[tuple[Job, Pixels | None]]:
    """Let a job go on until it asks again, or ends."""
    try:
        ask = next(job.steps) if said is None else job.steps.send(said)
    except StopIteration as end:
        yield job, end.value
    else:
        waiting[ask.slopes].append((job, ask))
