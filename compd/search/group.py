"""Seeds that are searched together, and what became of each."""

from __future__ import annotations

import torch
from torch import Tensor

from compd.data import Split
from compd.images import pixel_hash
from compd.rng import seed_key
from compd.search.findings import Finding
from compd.search.judge import Judgement
from compd.search.strategies import Proposal

__all__ = ["Group"]


class Group:
    """Seeds that are searched together, and what was seen of them."""

    def __init__(self, chosen: Tensor, labels: Tensor, images: Tensor) -> None:
        self.chosen = chosen  # int64 (N,): rows of the split
        self.labels = labels  # int64 (N,): the original's
        self.images = images  # uint8 (N, C, H, W)
        self.hashes = [pixel_hash(image) for image in images]
        self.keys = [seed_key(sha256) for sha256 in self.hashes]
        self.asked = torch.zeros(len(chosen), dtype=torch.int64)  # candidates looked at so far
        self.found = torch.zeros(len(chosen), dtype=torch.bool)
        self._images = images.clone()  # the most severe deviation of each seed so far
        self._severity = torch.full((len(chosen),), -1.0)
        self._shifts = [""] * len(chosen)  # what these were made with

    def remember(self, proposal: Proposal, judgement: Judgement) -> None:
        """Keep what is more severe than all before it."""
        for i in judgement.effective.nonzero()[:, 0].tolist():
            seed = int(proposal.seeds[i])
            if judgement.severity[i] > self._severity[seed]:
                self._severity[seed] = judgement.severity[i]
                self._images[seed] = proposal.images[i]
                self._shifts[seed] = proposal.shifts[i] if proposal.shifts else ""

    @property
    def severity(self) -> float:
        """Of the most severe deviation so far; 0 without any."""
        return max(0.0, float(self._severity.max())) if len(self._severity) else 0.0

    def best(self) -> Proposal:
        """The most severe deviation of each seed that has one."""
        seeds = (self._severity >= 0).nonzero()[:, 0]
        shifts = tuple(self._shifts[i] for i in seeds.tolist())
        return Proposal(self._images[seeds], seeds, shifts if any(shifts) else ())

    def finding(
        self,
        judgement: Judgement,
        i: int,
        proposal: Proposal,
        split: Split,
        classes: tuple[str, ...],
    ) -> Finding:
        """The ``i``-th of the judged candidates, with all that is known of its seed."""
        seed = int(proposal.seeds[i])
        row = int(self.chosen[seed])
        return Finding.of(
            judgement,
            i,
            seed_image=self.images[seed],
            seed_sha256=self.hashes[seed],
            seed_row=split.row(row),
            seed_label=int(self.labels[seed]),
            true_label=int(split.labels[row]) if split.labelled else None,
            classes=classes,
            step=int(self.asked[seed]),
            shift=proposal.shifts[i] if proposal.shifts else None,
        )
