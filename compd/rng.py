"""Randomness per seed image: the same draws whatever the batch, the worker or the order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["draws_at", "seed_key"]


def seed_key(content_hash: str) -> int:
    """The identity of a seed image as a number: the first 64 bits of its pixel hash."""
    return int(content_hash[:16], 16)


def draws_at(random_seed: int, keys: Sequence[int], step: int) -> list[np.random.Generator]:
    """One generator per seed image for one step of the search.

    Philox is counter-based: (random seed, seed identity) is its key, the step its counter, so no
    state is carried from step to step.

    Args:
        random_seed: of the campaign.
        keys: from :func:`seed_key`.
        step: 0, 1, …
    """
    return [
        np.random.Generator(
            np.random.Philox(key=[random_seed % 2**64, key], counter=[0, 0, 0, step])
        )
        for key in keys
    ]
