"""Whether a finding holds outside of the batch and the settings that it was found in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.logits import answers_of
from compd.models.inputs import predict
from compd.pair import Pair
from compd.runtimes import Runtime
from compd.search.findings import Finding, Stability
from compd.search.judge import Verdict

__all__ = ["StabilityCheck"]

_REPLAYS = 3


class StabilityCheck:
    """Replays findings: three times, on their own, without optimisation, and on other engines.

    A finding holds if the original still gives the seed's label and the deployed model another one.
    The first of the things that it does not survive names it.

    Args:
        pair: whose findings they are; replayed with its number of images a call.
        control: its clock adds up the time inside model calls.
        others: further runtimes of the same deployed model, by name.
    """

    def __init__(
        self,
        pair: Pair,
        control: Control = QUIET,
        *,
        others: Mapping[str, Runtime] | None = None,
    ) -> None:
        self._reference, self._deployed = pair.reference, pair.deployed
        self._plain = [runtime.plain() for runtime in (pair.reference, pair.deployed)]
        self._others = dict(others or {})
        self._batch = pair.batch
        self._clock = control.clock
        self.counts: Counter[str] = Counter()

    def __call__(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings, those that deviate with their stability."""
        rows = [i for i, one in enumerate(findings) if one.verdict is Verdict.EFFECTIVE]
        done = list(findings)
        if not rows:
            return done
        found = self.stabilities(
            torch.stack([findings[i].image for i in rows]),
            torch.tensor([findings[i].seed_label for i in rows]),
        )
        self.counts.update(str(stability) for stability in found)
        for i, stability in zip(rows, found, strict=True):
            done[i] = replace(findings[i], stability=stability)
        return done

    def stabilities(self, images: Tensor, labels: Tensor) -> list[Stability]:
        """What each deviation depends on.

        Args:
            images: uint8 (N, C, H, W).
            labels: int64 (N,), the original's labels for their seeds.
        """
        found = [Stability.STABLE] * len(images)
        with self._clock.running():
            for stability, held in self._replays(images, labels):
                for i in (~held).nonzero()[:, 0].tolist():
                    if found[i] is Stability.STABLE:
                        found[i] = stability
        return found

    def _replays(self, images: Tensor, labels: Tensor) -> Iterator[tuple[Stability, Tensor]]:
        """What is tried, and which findings (N,) held."""
        kept, left = [], []
        for _ in range(_REPLAYS):
            kept.append(self._keeps(self._reference, images, labels, self._batch))
            left.append(self._leaves(self._deployed, images, labels, self._batch))
        said = torch.stack(kept).all(0)
        each = torch.stack(kept) & torch.stack(left)
        # What differs between equal calls is flaky, and so is what held in the search and no more,
        # if both models answer an image the same in each batch.
        steady = self._reference.steady and self._deployed.steady
        yield Stability.FLAKY, each.all(0) | (~each.any(0) & (not steady))
        yield Stability.BATCH, each.all(0)
        # What is known to be steady would be asked the same once more, at many times the cost.
        if not self._reference.steady:
            said = said & self._keeps(self._reference, images, labels, 1)
        if not self._deployed.steady:
            said = said & self._leaves(self._deployed, images, labels, 1)
        yield Stability.BATCH, said
        reference, deployed = self._plain
        if reference is not None or deployed is not None:
            said = self._keeps(reference or self._reference, images, labels, self._batch)
            yield (
                Stability.OPTIMISATION,
                said & self._leaves(deployed or self._deployed, images, labels, self._batch),
            )
        for runtime in self._others.values():
            yield Stability.ENGINE, self._leaves(runtime, images, labels, self._batch)

    @staticmethod
    def _keeps(runtime: Runtime, images: Tensor, labels: Tensor, batch: int) -> Tensor:
        return answers_of(predict(runtime.run, images, batch=batch)).label == labels

    @staticmethod
    def _leaves(runtime: Runtime, images: Tensor, labels: Tensor, batch: int) -> Tensor:
        return answers_of(predict(runtime.run, images, batch=batch), labels).label != labels
