"""What a runtime is: something that runs a deployed artifact on images."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["Runtime"]


class Runtime(Protocol):
    """A model in the runtime that ships it."""

    @property
    def engine(self) -> str:
        """Name of the kernels that answer, for reports and fingerprints."""
        ...

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of all numbers that the artifact computes with."""
        ...

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 logits (N, K) on the CPU."""
        ...
