"""What a repair method is: a configuration, and the loss of one step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compd.errors import SettingError
from compd.models.inputs import to_input
from compd.training.augment import crop_and_mirror

__all__ = ["Bench", "Schedule", "lattice"]


@dataclass(frozen=True)
class Schedule:
    """The part of a method's configuration that the training loop reads."""

    # Peak; adam: of each tensor's size. A warm-up before it, a cosine after. None: the method's own
    lr: float | None = None
    steps: int | None = None  # a round; None for two passes over the training images, 40 to 400
    batch: int = 96
    optimiser: str = "adam"  # or "sgd": with Nesterov momentum of 0.9
    stored: float = 0.1  # share of a batch that comes from the corpus
    clean: float = 0.3  # share that is clean training images; the rest is found anew
    scales: bool = False  # whether to learn the scales of int8 activations with the weights
    restart: bool = False  # whether to start from what calibration alone brings nearer

    def __post_init__(self) -> None:
        rate_fits = self.lr is None or 0 < self.lr < 100
        if not rate_fits or self.batch < 2 or (self.steps is not None and self.steps < 1):
            raise SettingError(
                "0 < lr < 100, steps >= 1 and batch >= 2",
                lr=self.lr,
                steps=self.steps,
                batch=self.batch,
            )
        if self.optimiser not in ("adam", "sgd"):
            raise SettingError("optimiser adam or sgd", optimiser=self.optimiser)
        if min(self.stored, self.clean) < 0 or self.stored + self.clean > 1:
            raise SettingError(
                "stored and clean to be shares of a batch", stored=self.stored, clean=self.clean
            )

    def hopeless(self, classes: int) -> float:
        """A loss that only a model has whose answers are worth no more than guesses."""
        return math.log(classes)

    def in_round(self, steps: int) -> Schedule:
        """The configuration for a round of so many steps."""
        del steps
        return self

    def peak(self, steps: int, *, sparing: bool) -> float:
        """Peak learning rate of a round of so many steps.

        Args:
            steps: of the round.
            sparing: whether the repair then goes back towards the start as far as it can
                (:class:`compd.compress.Tuning`).
        """
        del steps, sparing
        return 1e-3 if self.lr is None else self.lr

    def steps_for(self, images: int) -> int:
        """Steps of a round with so many training images."""
        return self.steps or min(400, max(40, 2 * images // self.batch))


@dataclass
class Bench:
    """The models on the bench and the images to train on; what a method may use."""

    original: nn.Module  # float pixels (N, C, H, W) -> logits (N, K); without weight gradients
    shadow: nn.Module  # the same, being trained
    images: Tensor  # uint8 (N, C, H, W): training images
    stored: Tensor  # uint8 (N, C, H, W): the corpus
    device: torch.device
    pad: int  # largest random shift of training images, in pixels
    mirror: bool
    eps: int  # bound of the searches, levels of 255

    def clean(self, count: int, draw: torch.Generator) -> Tensor:
        """Float pixels of training images, shifted and mirrored at random."""
        rows = torch.randint(len(self.images), (count,), generator=draw)
        return self._input(crop_and_mirror(self.images[rows], self.pad, self.mirror, draw))

    def mixed(self, count: int, draw: torch.Generator) -> Tensor:
        """Float pixels of blends of two training images each (mixup, Zhang et al. 2018).

        The original is sure of nearly all training images, and says little there. Between two of
        them it has to weigh, as on new images that are hard.
        """
        first, second = self.clean(count, draw), self.clean(count, draw)
        share = torch.rand((count, 1, 1, 1), generator=draw).to(self.device)
        return second + share * (first - second)

    def deviations(self, count: int, draw: torch.Generator) -> Tensor:
        """Float pixels of stored deviations, as they are; none if the corpus is empty."""
        if not len(self.stored):
            return self._input(self.stored)
        return self._input(self.stored[torch.randint(len(self.stored), (count,), generator=draw)])

    def answers(self, x: Tensor) -> Tensor:
        """The original's logits (N, K)."""
        with torch.no_grad():
            logits: Tensor = self.original(x)
        return logits

    def gradient(self, value: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Gradient of the sum of ``value(x)`` by ``x``, leaving the shadow's weights alone."""
        x = x.detach().requires_grad_()
        self.shadow.requires_grad_(False)
        try:
            (gradient,) = torch.autograd.grad(value(x).sum(), x)
        finally:
            self.shadow.requires_grad_(True)
        return gradient

    def _input(self, images: Tensor) -> Tensor:
        return to_input(images, self.device)


def lattice(x: Tensor, start: Tensor, levels: int) -> Tensor:
    """The nearest images on the 8-bit lattice within ``levels`` of 255 of ``start``; float."""
    x = torch.minimum(torch.maximum(x, start - levels / 255), start + levels / 255)
    return x.clamp(0, 1).mul(255).round().div(255)
