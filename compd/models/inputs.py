"""From the lattice into a model, and back out as logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["predict", "to_input"]


def to_input(images: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (N, C, H, W) -> float32 pixels in 0..1 on a device, channels last in memory."""
    moved = images.to(device, non_blocking=True)
    return moved.contiguous(memory_format=torch.channels_last).float().div_(255)


def predict(run: Callable[[Tensor], Tensor], images: Tensor, *, batch: int = 256) -> Tensor:
    """Run a model over many images in batches.

    Args:
        run: uint8 (N, C, H, W) -> logits (N, K).
        images: uint8 (N, C, H, W).
        batch: images a call.

    Returns:
        float32 logits (N, K) on the CPU.
    """
    parts = [run(images[i : i + batch]).cpu() for i in range(0, len(images), batch)]
    return torch.cat(parts)
