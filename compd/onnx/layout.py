"""Operators that move, cut and join tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.onnx.elements import BOOL, FLOATS, RANGES
from compd.onnx.node import Node

__all__ = [
    "cast",
    "concat",
    "counted",
    "depth_to_space",
    "expand",
    "flatten",
    "gather",
    "gather_elements",
    "pad",
    "reshape",
    "resize",
    "slices",
    "space_to_depth",
    "split",
    "squeeze",
    "transpose",
    "triangle",
    "unsqueeze",
    "upsample",
]

_MOST_COUNTED = 2**26
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def cast(node: Node, x: Tensor) -> Tensor:
    """``Cast``: what flows through the graph stays float32; only constants become integers."""
    target = node.get("to")
    if target == BOOL:
        return x != 0
    if target in FLOATS:
        return x.float()
    whole = x.float().trunc()
    return x.long() if node.folded and target not in RANGES else whole


def concat(node: Node, *parts: Tensor) -> Tensor:
    """``Concat``; a part for one image is repeated for the batch if the others have one."""
    axis, rank = node.get("axis", 1), len(node.shapes[0])
    batched = [x for x, shape in zip(parts, node.shapes, strict=True) if shape[:1] == (None,)]
    if batched and axis % rank != 0:
        parts = tuple(
            x.expand([batched[0].shape[0], *[-1] * (rank - 1)]) if shape[0] == 1 else x
            for x, shape in zip(parts, node.shapes, strict=True)
        )
    return torch.cat(parts, axis)


def expand(node: Node, x: Tensor, shape: list[Any]) -> Tensor:
    """``Expand``: both shapes are broadcast, so a 1 in ``shape`` keeps the size."""
    own = node.shapes[0]
    rank = max(len(own), len(shape))
    padded = [1] * (rank - len(shape)) + list(shape)
    new = rank - len(own)
    sizes = [
        (1 if i < new else -1) if isinstance(size, int) and size == 1 else size
        for i, size in enumerate(padded)
    ]
    return x.expand(sizes)  # as a list, which torch.fx can trace with sizes of its own


def flatten(node: Node, x: Tensor) -> Tensor:
    """``Flatten`` to two dimensions at an axis."""
    rank = len(node.shapes[0])
    axis = node.get("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if axis == 0:
        return x.reshape(1, -1)
    if axis == rank:
        return x.reshape(-1, 1)
    if axis > 1:
        x = x.flatten(0, axis - 1)
    return x.flatten(1)


def gather(node: Node, x: Tensor, indices: Any) -> Tensor:
    """``Gather`` at constant indices."""
    axis = node.get("axis", 0) % len(node.shapes[0])
    if isinstance(indices, list):
        index: Any = (*[slice(None)] * axis, indices)
        return x[index]
    return x.select(axis, indices)


def gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """``GatherElements``: an index for each element of the result."""
    axis = node.get("axis", 0)
    where = indices.long()
    return torch.gather(x, axis, torch.where(where < 0, where + x.shape[axis], where))


def counted(node: Node, start: float, limit: float, step: float) -> Tensor:
    """``Range`` of numbers that are known before."""
    if not step or (limit - start) / step > _MOST_COUNTED:
        raise node.refuse(f"a range of {start}, {limit}, {step}")
    return torch.arange(start, limit, step, dtype=None if node.types[0] in FLOATS else torch.int64)


def triangle(node: Node, x: Tensor, shift: int | list[int] = 0) -> Tensor:
    """``Trilu``: the upper or the lower triangle, zeros elsewhere."""
    at = shift[0] if isinstance(shift, list) else shift
    return torch.triu(x, at) if node.get("upper", 1) else torch.tril(x, at)


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """``DepthToSpace``: blocks of channels become squares of pixels."""
    size = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, size)
    channels, height, width = node.fixed(node.shapes[0][1:])
    parts = x.reshape(-1, size, size, channels // size**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(
        -1, channels // size**2, height * size, width * size
    )


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """``SpaceToDepth``: squares of pixels become blocks of channels."""
    size = node.get("blocksize")
    channels, height, width = node.fixed(node.shapes[0][1:])
    parts = x.reshape(-1, channels, height // size, size, width // size, size)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(
        -1, channels * size**2, height // size, width // size
    )


def pad(
    node: Node,
    x: Tensor,
    pads: list[int] | None = None,
    value: float | Tensor | None = None,
    axes: list[int] | None = None,
) -> Tensor:
    """``Pad`` by a constant, by the edge or by reflection."""
    mode = node.get("mode", "constant")
    if mode not in _PAD_MODES or isinstance(value, Tensor):
        raise node.refuse(f"mode {mode!r}")
    rank = len(node.shapes[0])
    pads = pads or node.get("pads") or node.get("paddings")
    axes = list(range(rank)) if axes is None else [axis % rank for axis in axes]
    both = {axis: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    first = min((axis for axis, pair in both.items() if any(pair)), default=rank)
    flat = [size for axis in reversed(range(first, rank)) for size in both.get(axis, (0, 0))]
    if not flat:
        return x
    if mode == "constant":
        return F.pad(x, flat, value=float(value if value is not None else node.get("value", 0)))
    return F.pad(x, flat, mode=_PAD_MODES[mode])


def reshape(node: Node, x: Tensor, shape: list[Any] | None = None) -> Tensor:
    """``Reshape``: 0 keeps a size, -1 takes what is left."""
    sizes = node.get("shape") if shape is None else shape
    kept = [
        _size(node, x, i)
        if isinstance(size, int) and size == 0 and not node.get("allowzero", 0)
        else size
        for i, size in enumerate(sizes)
    ]
    return x.reshape(kept)


def resize(
    node: Node,
    x: Tensor,
    _roi: list[float] | None = None,
    scales: list[float] | None = None,
    sizes: list[Any] | None = None,
) -> Tensor:
    """``Resize`` and ``Upsample``: linear, and nearest by a whole factor."""
    own = node.sizes()
    scales = scales or node.get("scales")
    if sizes:
        target = list(sizes[-len(own) :])
    else:
        target = [int(s * f) for s, f in zip(own, (scales or [])[-len(own) :], strict=True)]
        if any(
            s * f != t for s, f, t in zip(own, (scales or [])[-len(own) :], target, strict=True)
        ):
            raise node.refuse(f"scales {scales} that give no whole size")
    mode = node.get("mode", "nearest")
    # Before opset 11 there was no choice: pixel i came from i / scale.
    where = node.get(
        "coordinate_transformation_mode", "half_pixel" if node.opset >= 11 else "asymmetric"
    )
    if mode == "nearest" and all(t % s == 0 for s, t in zip(own, target, strict=True)):
        rounded = node.get("nearest_mode", "round_prefer_floor" if node.opset >= 11 else "floor")
        halves = where in ("half_pixel", "pytorch_half_pixel") and rounded.startswith("round")
        if halves or (where == "asymmetric" and rounded == "floor"):
            return F.interpolate(x, target, mode="nearest")
    smooth = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(own)]
    if mode == "linear" and where == "align_corners":
        return F.interpolate(x, target, mode=smooth, align_corners=True)
    if mode == "linear" and where in ("half_pixel", "pytorch_half_pixel") and 1 not in target:
        return F.interpolate(x, target, mode=smooth, align_corners=False)
    raise node.refuse(f"mode {mode!r} with {where!r}")


def slices(
    node: Node,
    x: Tensor,
    starts: list[int] | None = None,
    ends: list[int] | None = None,
    axes: list[int] | None = None,
    steps: list[int] | None = None,
) -> Tensor:
    """``Slice``, backwards too."""
    starts, ends = starts or node.get("starts"), ends or node.get("ends")
    axes = axes or node.get("axes") or list(range(len(starts)))
    shape = node.shapes[0]
    index = [slice(None)] * len(shape)
    turned = []
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(axes), strict=True):
        if step < 0:
            (size,) = node.fixed((shape[axis],))
            turned.append(axis)
            start = min(start + size if start < 0 else start, size - 1)
            end = max(end + size if end < 0 else end, -1)
            start, end = size - 1 - start, size - 1 - end
        index[axis] = slice(start, end, abs(step))
    return (x.flip(turned) if turned else x)[tuple(index)]


def split(node: Node, x: Tensor, sizes: list[int] | None = None) -> tuple[Tensor, ...]:
    """``Split`` into given sizes, or into equal ones of which the last may be smaller."""
    axis = node.get("axis", 0)
    sizes = sizes or node.get("split")
    if not sizes:
        (size,) = node.fixed((node.shapes[0][axis],))
        each = -(-size // node.outputs)
        sizes = [min(each, size - i * each) for i in range(node.outputs)]
    parts = torch.split(x, sizes, axis)
    return tuple(parts[i] for i in range(len(sizes)))


def squeeze(node: Node, x: Tensor, axes: list[int] | None = None) -> Tensor:
    """``Squeeze``; the batch never goes, whatever size the file gives it."""
    shape = node.shapes[0]
    axes = axes or node.get("axes") or [i for i, size in enumerate(shape) if size == 1]
    wrong = [axis for axis in axes if shape[axis] != 1]
    if wrong:
        raise node.refuse(f"dimension {wrong[0]} of {shape}, which is not 1 for every batch,")
    return torch.squeeze(x, tuple(axes)) if axes else x


def transpose(node: Node, x: Tensor) -> Tensor:
    """``Transpose``; without an order, backwards."""
    return x.permute(node.get("perm", list(reversed(range(len(node.shapes[0]))))))


def unsqueeze(node: Node, x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """``Unsqueeze``: axes count in the result."""
    axes = axes or node.get("axes")
    rank = len(node.shapes[0]) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def upsample(node: Node, x: Tensor, scales: list[float] | None = None) -> Tensor:
    """``Upsample``, which ``Resize`` has replaced."""
    return resize(node, x, scales=scales)


def _size(node: Node, x: Tensor, axis: int) -> Any:
    size = node.shapes[0][axis]
    return x.shape[axis] if size is None else size
