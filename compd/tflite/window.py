"""Windows that slide over an image (N, H, W, C): convolutions and pools."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.models.rounding import to_grid
from compd.tflite.grid import activated, bounds, on_grid, real
from compd.tflite.model import Node
from compd.tflite.products import products

__all__ = ["average_pool", "conv", "depthwise_conv", "max_pool", "transpose_conv"]

_SAME = 0  # of the format's Padding; VALID is 1
_MOST_SIZE = 4096  # of a window, or of the steps between them
_AWAY = 1 + 1e-6  # a factor that turns a tie into what lies farther from 0


@dataclass(frozen=True)
class _Window:
    """Height and width of everything."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]  # (before, after)

    def padded(self, x: Tensor, value: float = 0.0) -> Tensor:
        """(N, C, H, W) with its border."""
        (top, bottom), (left, right) = self.pads
        if not (top or bottom or left or right):
            return x
        return F.pad(x, [left, right, top, bottom], value=value)


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``CONV_2D``: weights (O, H, W, I); fewer inputs than the image has channels are groups."""
    shape = _rank(node, 1)
    (channels,) = node.sizes(0, [3])
    window = _window(node, (shape[1], shape[2]))
    if not shape[3] or channels % shape[3]:
        raise node.refuse(f"weights of {shape[3]} channels for {channels}")
    groups = channels // shape[3]

    def slide(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _slid(window, x, weight.permute(0, 3, 1, 2), bias, groups)

    return products(node, x, weight, bias, slide)


def depthwise_conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``DEPTHWISE_CONV_2D``: weights (1, H, W, C times a multiplier)."""
    shape = _rank(node, 1)
    (channels,) = node.sizes(0, [3])
    window = _window(node, (shape[1], shape[2]))
    if not channels or shape[0] != 1 or shape[3] % channels:
        raise node.refuse(f"weights of shape {shape} for {channels} channels")

    def slide(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _slid(window, x, weight.permute(3, 0, 1, 2), bias, channels)

    return products(node, x, weight, bias, slide)


def transpose_conv(
    node: Node, _size: Tensor, weight: Tensor, x: Tensor, bias: Tensor | None = None
) -> Tensor:
    """``TRANSPOSE_CONV``: the size of the result comes first, then weights (O, H, W, I)."""
    shape = _rank(node, 1)
    strides = _steps(node, "stride")
    wanted = node.numbers(0)
    if len(wanted) != 4:
        raise node.refuse(f"a result of shape {wanted}")
    cuts = []
    for size, kernel, stride, out in zip(
        node.sizes(2, [1, 2]), shape[1:3], strides, wanted[1:3], strict=True
    ):
        full = (size - 1) * stride + kernel
        before = max(full - out, 0) // 2 if node.get("padding") == _SAME else 0
        cuts.append((before, out, max(before + out - full, 0)))

    def slide(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = F.conv_transpose2d(x.permute(0, 3, 1, 2), weight.permute(3, 0, 1, 2), None, strides)
        (top, height, below), (left, width, beside) = cuts
        y = F.pad(y, [0, beside, 0, below]) if beside or below else y
        y = y[:, :, top : top + height, left : left + width].permute(0, 2, 3, 1)
        return y if bias is None else y + bias

    return products(node, x, weight, bias, slide, at=2)


def max_pool(node: Node, x: Tensor) -> Tensor:
    """``MAX_POOL_2D``: the largest value of each window; padding never is."""
    window = _window(node, _steps(node, "filter", ends=("Height", "Width")))
    y = window.padded(x.permute(0, 3, 1, 2), -math.inf)
    y = F.max_pool2d(y, window.kernel, window.strides).permute(0, 2, 3, 1)
    return y.clamp(*bounds(node)) if node.out.quantised else activated(node, y)


def average_pool(node: Node, x: Tensor) -> Tensor:
    """``AVERAGE_POOL_2D``: of what lies on the image; integers round ties away from 0."""
    window = _window(node, _steps(node, "filter", ends=("Height", "Width")))
    y = F.avg_pool2d(window.padded(x.permute(0, 3, 1, 2)), window.kernel, window.strides)
    if any(side for pair in window.pads for side in pair):
        inside = window.padded(torch.ones(1, 1, *node.sizes(0, [1, 2])))
        share = F.avg_pool2d(inside, window.kernel, window.strides)
        y = y / (share.to("meta") if isinstance(y, Tensor) and y.is_meta else share)
    y = y.permute(0, 2, 3, 1)
    if not node.out.quantised:
        return activated(node, y)
    same = node.value(0)
    if (same.scale, same.zero) == (node.out.scale, node.out.zero):
        return to_grid(y * _AWAY, 0, *bounds(node))
    return on_grid(node, real(same, y))


def _slid(window: _Window, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """A convolution of (N, H, W, C), whose result has its channels last, too."""
    x, padding = x.permute(0, 3, 1, 2), (0, 0)
    (top, bottom), (left, right) = window.pads
    if top == bottom and left == right:
        padding = (top, left)
    else:
        x = window.padded(x)
    y = F.conv2d(x, weight, bias, window.strides, padding, window.dilations, groups)
    return y.permute(0, 2, 3, 1)


def _rank(node: Node, at: int) -> tuple[int, ...]:
    shape = node.value(at).shape
    if len(shape) != 4 or node.value(at).numbers is None:
        raise node.refuse(f"weights of shape {shape} that are constant or not")
    return shape


def _steps(node: Node, what: str, ends: tuple[str, str] = ("H", "W")) -> tuple[int, int]:
    found = tuple(node.get(f"{what}{end}", 1) or 1 for end in ends)
    if any(not 1 <= size <= _MOST_SIZE for size in found):
        raise node.refuse(f"{what} {found}")
    return found[0], found[1]


def _window(node: Node, kernel: tuple[int, int]) -> _Window:
    strides = _steps(node, "stride")
    dilations = _steps(node, "dilation", ends=("HFactor", "WFactor"))
    if len(node.shapes[0]) != 4 or min(kernel) < 1:
        raise node.refuse(f"an image of shape {node.shapes[0]}")
    pads = []
    for size, reach, stride, dilation in zip(
        node.sizes(0, [1, 2]), kernel, strides, dilations, strict=True
    ):
        total = 0
        if node.get("padding") == _SAME:
            spanned = (reach - 1) * dilation + 1
            total = max((math.ceil(size / stride) - 1) * stride + spanned - size, 0)
        pads.append((total // 2, total - total // 2))
    return _Window(kernel, strides, dilations, (pads[0], pads[1]))
