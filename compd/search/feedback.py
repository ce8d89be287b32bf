"""Coverage as feedback: seeds that show new disagreement inside the models get more energy.

A unit is lit in one of two ways: active in the original and not in the shadow, or the reverse.
What a unit is depends on the kind: a neuron; a channel, active if the mean of its pre-activations
is; or a layer together with how large a share of its neurons differs, in powers of two (as AFL
counts how often an edge was taken). The paper behind COMPD (Li et al., ACML 2023) uses neurons, and
names channels and layers as future work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from compd.errors import unknown

__all__ = ["KINDS", "CoverageMap", "activity", "energies"]

KINDS = ("neuron", "channel", "layer")
_BUCKETS = 16  # shares down to 2**-15


def activity(kind: str, before: Sequence[Tensor]) -> list[Tensor]:
    """Which neurons, or channels, are active.

    Args:
        kind: one of :data:`KINDS`.
        before: pre-activations, one (N, C, ...) a layer.

    Returns:
        bool (N, units) a layer, on the CPU.
    """
    if kind == "channel":
        return [
            (b.detach().flatten(2).mean(2) if b.dim() > 2 else b.detach()).gt(0).cpu()
            for b in before
        ]
    return [b.detach().gt(0).flatten(1).cpu() for b in before]


class CoverageMap:
    """One bitmap a layer of what has been lit so far.

    Args:
        kind: one of :data:`KINDS`.
    """

    def __init__(self, kind: str) -> None:
        if kind not in KINDS:
            raise unknown("coverage", kind, KINDS)
        self.kind = kind
        self._seen: list[Tensor] = []  # bool (units,) a layer

    @property
    def count(self) -> int:
        """Units lit so far."""
        return sum(int(seen.sum()) for seen in self._seen)

    def light(self, original: Sequence[Tensor], shadow: Sequence[Tensor]) -> Tensor:
        """Take note of what images light.

        Args:
            original: :func:`activity` of the original, bool (N, units) a layer.
            shadow: that of the shadow.

        Returns:
            int64 (N,): units that no image before lit; within the batch, the first one counts.
        """
        fresh = torch.zeros(len(original[0]), dtype=torch.int64)
        for layer, (o, s) in enumerate(zip(original, shadow, strict=True)):
            lit = torch.cat([o & ~s, s & ~o], 1)  # (N, 2 units)
            if self.kind == "layer":
                lit = _buckets(lit)
            if layer == len(self._seen):
                self._seen.append(torch.zeros(lit.shape[1], dtype=torch.bool))
            new = (lit.any(0) & ~self._seen[layer]).nonzero()[:, 0]
            if len(new):
                first = lit[:, new].to(torch.uint8).argmax(0)
                fresh += torch.bincount(first, minlength=len(fresh))
                self._seen[layer][new] = True
        return fresh


def _buckets(lit: Tensor) -> Tensor:
    """The power of two of the share in each half: (N, 2 units) -> (N, 2 x buckets)."""
    shares = lit.view(len(lit), 2, -1).float().mean(2)
    bucket = (-shares.log2()).clamp(0, _BUCKETS - 1).long()  # infinite at 0
    hot = torch.nn.functional.one_hot(bucket, _BUCKETS).bool() & (shares > 0)[:, :, None]
    return hot.flatten(1)


def energies(fresh: Tensor, budget: int, most: int) -> Tensor:
    """A power schedule: share out steps by the logarithm of what was lit.

    Args:
        fresh: int64 (N,), units that each seed lit first.
        budget: steps to share out.
        most: steps that one seed gets at most.

    Returns:
        int64 (N,), at most ``budget`` in all.
    """
    weight = (1 + fresh.double()).log2()
    if not bool(weight.any()):
        weight = torch.ones_like(weight)
    given = (weight / weight.sum() * budget).long().clamp(max=most)
    # What rounding and the cap left over goes to the heaviest that have room, one step each.
    for i in torch.argsort(weight, descending=True, stable=True).tolist():
        if int(given.sum()) >= budget:
            break
        given[i] += int(given[i] < most)
    return given
