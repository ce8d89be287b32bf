"""Windows that slide over an image: convolutions and pools."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.onnx.node import Node

__all__ = ["average_pool", "conv", "conv_transpose", "convolve", "max_pool", "pad_pairs"]

_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}
_AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}

Pads = list[tuple[int, int]]


@dataclass(frozen=True)
class _Window:
    """Sizes a dimension; ``pads`` are (before, after)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads

    @property
    def even(self) -> bool:
        """Whether both sides are padded alike."""
        return all(before == after for before, after in self.pads)

    @property
    def before(self) -> list[int]:
        return [before for before, _ in self.pads]

    def reach(self, axis: int) -> int:
        """How many pixels a window spans."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``Conv``: any number of groups, strides, dilations and pads."""
    return convolve(node, x, weight, bias, weight_at=1)


def convolve(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None, *, weight_at: int
) -> Tensor:
    """A convolution with the geometry of a node whose weights are input ``weight_at``."""
    window = _window(node, node.sizes(weight_at))
    padding: Any = window.before
    if not window.even:
        x, padding = pad_pairs(x, window.pads), 0
    return _function(node, _CONV)(
        x, weight, bias, window.strides, padding, window.dilations, node.get("group", 1)
    )


def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``ConvTranspose`` with explicit pads that are the same on both sides."""
    window = _window(node, node.sizes(1))
    if not window.even or "output_shape" in node.attributes or _automatic(node):
        raise node.refuse("uneven pads or output_shape")
    return _function(node, _CONV_TRANSPOSE)(
        x,
        weight,
        bias,
        window.strides,
        window.before,
        node.get("output_padding", [0] * len(window.kernel)),
        node.get("group", 1),
        window.dilations,
    )


def max_pool(node: Node, x: Tensor) -> Tensor:
    """``MaxPool``: the largest value of each window; padding never is."""
    window = _window(node)
    pool, ceil = _function(node, _MAX), bool(node.get("ceil_mode", 0))
    if window.even and _narrow(window):
        return pool(
            x, window.kernel, window.strides, window.before, window.dilations, ceil_mode=ceil
        )
    for pads in (window.pads, _beyond(node, window) if ceil else []):
        x = pad_pairs(x, pads, -math.inf)
    return pool(x, window.kernel, window.strides, 0, window.dilations)


def average_pool(node: Node, x: Tensor) -> Tensor:
    """``AveragePool``: padding counts if the node says so, what ceil_mode adds never does."""
    window = _window(node)
    if any(dilation != 1 for dilation in window.dilations):
        raise node.refuse("dilations")
    include, ceil = bool(node.get("count_include_pad", 0)), bool(node.get("ceil_mode", 0))
    pool = _function(node, _AVERAGE)
    if window.even and _narrow(window):
        return pool(x, window.kernel, window.strides, window.before, ceil, include)
    # Sum and count apart: the count is that of ones, padded like the image.
    beyond = _beyond(node, window) if ceil else []
    ones = pad_pairs(torch.ones_like(x[:1, :1]), window.pads, float(include))
    total = pool(pad_pairs(pad_pairs(x, window.pads), beyond), window.kernel, window.strides)
    return total / pool(pad_pairs(ones, beyond), window.kernel, window.strides)


def pad_pairs(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """Pad the last dimensions by (before, after) each."""
    if not any(before or after for before, after in pads):
        return x
    return F.pad(x, [size for pair in reversed(pads) for size in pair], value=value)


def _window(node: Node, kernel: tuple[int, ...] | None = None) -> _Window:
    kernel = tuple(node.get("kernel_shape", kernel))
    strides = tuple(node.get("strides", [1] * len(kernel)))
    dilations = tuple(node.get("dilations", [1] * len(kernel)))
    pads = node.get("pads", [0] * 2 * len(kernel))
    pairs = list(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    window = _Window(kernel, strides, dilations, pairs)
    if not _automatic(node):
        return window
    pairs = []
    for axis, size in enumerate(node.sizes()):
        outputs = math.ceil(size / strides[axis])
        total = max((outputs - 1) * strides[axis] + window.reach(axis) - size, 0)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if node.get("auto_pad") == "SAME_UPPER" else (more, less))
    if node.get("auto_pad") == "VALID":
        pairs = [(0, 0)] * len(kernel)
    return _Window(kernel, strides, dilations, pairs)


def _automatic(node: Node) -> bool:
    return str(node.get("auto_pad", "NOTSET")) != "NOTSET"


def _narrow(window: _Window) -> bool:
    """Whether PyTorch's pools take the padding: at most half a window."""
    pairs = zip(window.before, window.kernel, strict=True)
    return all(pad <= size // 2 for pad, size in pairs)


def _beyond(node: Node, window: _Window) -> Pads:
    """What ceil_mode needs behind the padding, so that the last window is whole."""
    pairs = []
    for axis, size in enumerate(node.sizes()):
        before, after = window.pads[axis]
        stride = window.strides[axis]
        room = size + before + after - window.reach(axis)
        steps = math.ceil(room / stride)
        if steps * stride >= size + before:  # a window must start on the image
            steps -= 1
        pairs.append((0, max(steps * stride - room, 0)))
    return pairs


def _function(node: Node, table: dict[int, Callable[..., Tensor]]) -> Callable[..., Tensor]:
    dimensions = len(node.shapes[0]) - 2
    if dimensions not in table:
        raise node.refuse(f"{dimensions} dimensions")
    return table[dimensions]
