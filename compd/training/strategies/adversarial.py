"""Adversarial training (Madry et al. 2018): each batch is replaced by PGD's examples of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compd.errors import SettingError
from compd.training.strategies.base import Batch, Loss, TrainingStrategy

__all__ = ["ADVERSARIAL", "Adversarial"]

# Madry's settings by the number of channels: bound and step in levels of 255, and steps
_COLOUR = (8.0, 2.0, 7)
_GREY = (0.3 * 255, 0.01 * 255, 40)  # of MNIST


@dataclass(frozen=True)
class Adversarial:
    """Settings of PGD; None for Madry's, of CIFAR-10 or, for images of one channel, of MNIST."""

    eps: float | None = None  # bound in levels of 255: 8, or 76.5 for grey
    stride: float | None = None  # levels of 255 a step: 2, or 2.55
    steps: int | None = None  # 7, or 40

    def __post_init__(self) -> None:
        if not all(value is None or 0 < value <= 255 for value in (self.eps, self.stride)):
            raise SettingError(
                "0 < eps <= 255 and 0 < stride <= 255 levels", eps=self.eps, stride=self.stride
            )
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise SettingError("1 to 1000 steps of PGD", steps=self.steps)

    def of(self, channels: int) -> tuple[float, float, int]:
        """Bound and step in 0..1, and the number of steps, for images of so many channels."""
        eps, stride, steps = _GREY if channels == 1 else _COLOUR
        eps = eps if self.eps is None else self.eps
        stride = stride if self.stride is None else self.stride
        return eps / 255, stride / 255, steps if self.steps is None else self.steps


def _step(config: Adversarial, batch: Batch) -> tuple[Tensor, Loss]:
    eps, stride, steps = config.of(batch.images.shape[1])
    images = batch.images
    lowest, highest = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    noise = torch.from_numpy(batch.draws.random(tuple(images.shape), dtype="float32"))
    moved = torch.clamp(images + eps * (2 * noise.to(images.device) - 1), lowest, highest)
    with _evaluating(batch.model):
        for _ in range(steps):
            moved.requires_grad_()
            loss = F.cross_entropy(batch.forward(moved), batch.labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
            moved = torch.clamp(moved.detach() + stride * gradient.sign(), lowest, highest)
    return moved, lambda logits: F.cross_entropy(logits, batch.labels)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """BatchNorm's statistics are those of the images trained on, not of each of PGD's steps."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


ADVERSARIAL = TrainingStrategy(Adversarial, _step)
