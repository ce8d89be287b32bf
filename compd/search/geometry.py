"""Directions in the space of images: unit gradients, steepest steps, and where two models part.

Whatever follows two decision boundaries shares these: the boundary walk, the images that a repair
trains on, and the ways that property tests take.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["along", "parting", "per_image", "steepest", "unit"]

_TINY = 1e-12


def per_image(values: Tensor, images: Tensor) -> Tensor:
    """One number an image (N,), in a shape that multiplies images (N, ...)."""
    return values.view(-1, *[1] * (images.ndim - 1))


def unit(gradient: Tensor) -> Tensor:
    """Gradients (N, ...), each of Euclidean length 1; what is zero stays zero."""
    lengths: Tensor = gradient.flatten(1).norm(dim=1).clamp_min(_TINY)
    return gradient / per_image(lengths, gradient)


def steepest(gradient: Tensor, norm: str) -> Tensor:
    """The direction in which a step under a norm changes most, of one level a value on average.

    Args:
        gradient: (N, ...).
        norm: ``linf``: its sign; ``l2``: along it.
    """
    if norm == "linf":
        return gradient.sign()
    size = gradient.flatten(1).square().mean(1).sqrt().clamp_min(_TINY)
    return gradient / per_image(size, gradient)


def parting(original: Tensor, shadow: Tensor) -> Tensor:
    """The direction in which two models part: the difference of their unit gradients, (N, ...).

    With gradients as they are, the steeper model would drown the other.
    """
    return unit(original) - unit(shadow)


def along(direction: Tensor, slope: Tensor) -> Tensor:
    """What of a direction (N, ...) leaves a function alone whose gradient is ``slope`` (N, ...)."""
    inner = (direction * slope).flatten(1).sum(1)
    share = inner / slope.flatten(1).square().sum(1).clamp_min(1e-18)
    return direction - per_image(share, direction) * slope
