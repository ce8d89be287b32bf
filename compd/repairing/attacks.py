"""FGSM and PGD on the lattice: made on one model, judged on another.

FGSM is Goodfellow et al. 2015, one step of the sign of the loss's gradient; PGD is Madry et al.
2018 without a random start. The loss is the cross-entropy of the true label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compd.models.inputs import to_input
from compd.search import Bound

__all__ = ["fgsm", "pgd"]


def fgsm(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    levels: tuple[int, ...],
    *,
    device: torch.device,
    batch: int = 128,
) -> dict[int, Tensor]:
    """One signed step of each size.

    Args:
        model: float pixels in 0..1 to logits.
        images: uint8 (N, C, H, W).
        labels: int64 (N,), true ones.
        levels: sizes of the step, of 255.
        device: where the model is.
        batch: images a gradient.

    Returns:
        levels -> uint8 (N, C, H, W).
    """
    signs = torch.cat(list(_signs(model, images, labels, device, batch)))
    return {eps: Bound(eps).clip(images.to(torch.int16) + eps * signs, images) for eps in levels}


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    levels: int,
    *,
    steps: int = 20,
    device: torch.device,
    batch: int = 128,
    step_done: Callable[[int], None] = lambda step: None,
) -> Tensor:
    """Signed steps of a fourth of the bound (at least one level), each clipped to the bound.

    Args:
        model: float pixels in 0..1 to logits.
        images: uint8 (N, C, H, W).
        labels: int64 (N,), true ones.
        levels: the bound, of 255.
        steps: how many.
        device: where the model is.
        batch: images a gradient.
        step_done: told of each step that is done.

    Returns:
        uint8 (N, C, H, W).
    """
    bound, current = Bound(levels), images
    for step in range(steps):
        signs = torch.cat(list(_signs(model, current, labels, device, batch)))
        moved = current.to(torch.int16) + max(1, levels // 4) * signs
        current = bound.clip(moved, images)
        step_done(step + 1)
    return current


def _signs(
    model: nn.Module, images: Tensor, labels: Tensor, device: torch.device, batch: int
) -> Iterator[Tensor]:
    for start in range(0, len(images), batch):
        x = to_input(images[start : start + batch], device).requires_grad_()
        loss = F.cross_entropy(model(x), labels[start : start + batch].to(device), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        yield gradient.sign().to(torch.int16).cpu()
