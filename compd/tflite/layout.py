"""Operators that only move values: to another shape, place or size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from compd.tflite.grid import on_grid, placed, real, said_in
from compd.tflite.model import Node

__all__ = [
    "broadcast_to",
    "concatenation",
    "depth_to_space",
    "gather",
    "pack",
    "pad",
    "reshape",
    "resize_bilinear",
    "resize_nearest",
    "slices",
    "space_to_depth",
    "split",
    "strided_slice",
    "tile",
    "transpose",
    "unpack",
]

_MOST_REPEATS = 4096


def reshape(node: Node, x: Tensor, *_target: Tensor) -> Tensor:
    """``RESHAPE``, ``SQUEEZE``, ``EXPAND_DIMS``: to the shape that the file says of its result.

    Files say it for their own batch, so the axis along which the images lie takes what is left.
    """
    shape = list(node.out.shape)
    axis = node.batch_axis()
    if axis is None:
        return x.reshape(shape)
    before = math.prod(node.sizes(0, range(axis)))
    fits = [at for at in range(len(shape)) if math.prod(shape[:at]) == before]
    if not fits or 0 in shape:
        raise node.refuse(f"images that would be torn apart by shape {tuple(shape)}")
    shape[fits[0]] = -1
    return x.reshape(shape)


def transpose(node: Node, x: Tensor, _order: Tensor) -> Tensor:
    """``TRANSPOSE``."""
    return x.permute([int(axis) for axis in node.numbers(1)])


def concatenation(node: Node, *parts: Tensor) -> Tensor:
    """``CONCATENATION``; integers of another scale are brought to the result's."""
    axis = int(node.get("axis", 0)) % max(1, len(node.out.shape))
    if any(node.batch_axis(at) == axis for at in range(len(parts))):
        raise node.refuse("batches that are joined")
    made = [said_in(node, at, part, node.out) for at, part in enumerate(parts)]
    joined = torch.cat(_of_one_batch(node, made), axis)
    return joined if node.out.quantised else on_grid(node, joined)


def pack(node: Node, *parts: Tensor) -> Tensor:
    """``PACK``: along a new axis."""
    made = [said_in(node, at, part, node.out) for at, part in enumerate(parts)]
    return torch.stack(_of_one_batch(node, made), int(node.get("axis", 0)))


def unpack(node: Node, x: Tensor) -> tuple[Tensor, ...]:
    """``UNPACK``: one result for each place along an axis."""
    axis = int(node.get("axis", 0)) % max(1, len(node.shapes[0]))
    (count,) = node.sizes(0, [axis])
    if count != len(node.outputs):
        raise node.refuse(f"{count} parts and {len(node.outputs)} results")
    return tuple(x.select(axis, at) for at in range(count))


def split(node: Node, *given: Tensor) -> tuple[Tensor, ...]:
    """``SPLIT`` (axis, x) and ``SPLIT_V`` (x, sizes, axis)."""
    even = node.kind == "SPLIT"
    at, where = (1, 0) if even else (0, 2)
    axis = int(node.numbers(where)[0]) % max(1, len(node.shapes[at]))
    (size,) = node.sizes(at, [axis])
    count = len(node.outputs)
    sizes = [size // count] * count if even else [int(n) for n in node.numbers(1)]
    if -1 in sizes:
        sizes[sizes.index(-1)] = size - sum(n for n in sizes if n >= 0)
    if sum(sizes) != size or len(sizes) != count or min(sizes, default=0) < 0:
        raise node.refuse(f"parts of {sizes} of {size}")
    starts = [sum(sizes[:i]) for i in range(count)]
    return tuple(
        given[at].narrow(axis, start, long) for start, long in zip(starts, sizes, strict=True)
    )


def slices(node: Node, x: Tensor, _begin: Tensor, _size: Tensor) -> Tensor:
    """``SLICE``: a part from a place on, of a size; -1 is all that is left."""
    batch = node.batch_axis()
    for axis, (begin, size) in enumerate(zip(node.numbers(1), node.numbers(2), strict=True)):
        if axis == batch:
            if begin or size not in (-1, node.value(0).shape[axis]):
                raise node.refuse("a part of a batch")
            continue
        (whole,) = node.sizes(0, [axis])
        x = x.narrow(axis, begin, whole - begin if size == -1 else size)
    return x


def strided_slice(node: Node, x: Tensor, *_where: Tensor) -> Tensor:
    """``STRIDED_SLICE`` with steps forward; masks say which ends are those of the axis."""
    if node.get("ellipsisMask") or node.get("newAxisMask"):
        raise node.refuse("an ellipsis or a new axis")
    begins, ends, steps = (node.numbers(at) for at in (1, 2, 3))
    batch, dropped = node.batch_axis(), 0
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        at = axis - dropped
        bit = 1 << axis
        open_begin, open_end = node.get("beginMask", 0) & bit, node.get("endMask", 0) & bit
        if axis == batch:
            whole = (open_begin or not begin) and (open_end or end >= node.value(0).shape[axis])
            if not whole or step != 1 or node.get("shrinkAxisMask", 0) & bit:
                raise node.refuse("a part of a batch")
            continue
        (size,) = node.sizes(0, [axis])
        if step < 1:
            raise node.refuse(f"steps of {step}")
        if node.get("shrinkAxisMask", 0) & bit:
            if not -size <= begin < size:
                raise node.refuse(f"place {begin} of {size}")
            x, dropped = x.select(at, begin % size), dropped + 1
            continue
        start = 0 if open_begin else min(max(begin + size if begin < 0 else begin, 0), size)
        stop = size if open_end else min(max(end + size if end < 0 else end, start), size)
        if (start, stop, step) != (0, size, 1):
            x = x[(slice(None),) * at + (slice(start, stop, step),)]
    return x


def gather(node: Node, x: Tensor, _indices: Tensor) -> Tensor:
    """``GATHER`` of constant places along an axis."""
    axis = int(node.get("axis", 0)) % max(1, len(node.shapes[0]))
    (size,) = node.sizes(0, [axis])
    shape, places = node.value(1).shape, [int(place) for place in node.numbers(1)]
    if node.get("batchDims") or any(not 0 <= place < size for place in places):
        raise node.refuse(f"places {places[:8]} of {size}")
    if not shape:
        return x.select(axis, places[0])
    parts = [x.narrow(axis, place, 1) for place in places]
    if len(shape) != 1 or len(parts) > _MOST_REPEATS:
        raise node.refuse(f"places of shape {shape}")
    return torch.cat(parts, axis)


def tile(node: Node, x: Tensor, _times: Tensor) -> Tensor:
    """``TILE``: copies side by side."""
    times = [int(n) for n in node.numbers(1)]
    axis = node.batch_axis()
    if axis is not None and times[axis] != 1:
        raise node.refuse("copies of a batch")
    if any(not 1 <= n <= _MOST_REPEATS for n in times):
        raise node.refuse(f"{times} copies")
    return x.repeat(times)


def broadcast_to(node: Node, x: Tensor, _shape: Tensor) -> Tensor:
    """``BROADCAST_TO``: what an operator would do that comes next."""
    shape: list[int] = list(node.out.shape)
    axis = node.batch_axis()
    if axis is not None:
        shape[axis + len(shape) - len(node.shapes[0])] = -1
    return x.expand(shape)


def pad(node: Node, x: Tensor, _pads: Tensor, value: Tensor | None = None) -> Tensor:
    """``PAD`` and ``PADV2``: a border of a number; of integers, what stands for 0."""
    flat = [int(size) for size in node.numbers(1)]
    pairs = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)]
    axis = node.batch_axis()
    if any(side < 0 for pair in pairs for side in pair) or len(pairs) != len(node.shapes[0]):
        raise node.refuse(f"a border of {pairs}")
    if axis is not None and pairs[axis] != (0, 0):
        raise node.refuse("a border of a batch")
    own = node.value(0)
    fill = float(own.zero) if own.quantised else 0.0
    if value is not None:
        fill = float(node.numbers(2)[0])
    return F.pad(x, [size for pair in reversed(pairs) for size in pair], value=fill)


def resize_bilinear(node: Node, x: Tensor, _size: Tensor) -> Tensor:
    """``RESIZE_BILINEAR`` with each of the three ways to place pixels."""
    made = real(node.value(0), x)
    for axis, (size, new) in enumerate(zip(*_sizes(node), strict=True)):
        weights = placed(_bilinear(node, size, new), x)
        spelling = ("oh,nhwc->nowc", "ow,nhwc->nhoc")[axis]
        made = torch.einsum(spelling, weights, made)
    return on_grid(node, made)


def resize_nearest(node: Node, x: Tensor, _size: Tensor) -> Tensor:
    """``RESIZE_NEAREST_NEIGHBOR`` with each of the three ways to place pixels."""
    for axis, (size, new) in enumerate(zip(*_sizes(node), strict=True)):
        at = np.arange(new)
        if node.get("alignCorners"):
            rounded = np.floor(_placed(node, at, size, new) + 0.5)
        else:  # the pixel in which the new one begins, or its centre lies
            centre = 0.5 if node.get("halfPixelCenters") else 0.0
            rounded = np.floor((at + centre) * (size / new))
        weights = np.zeros((new, size))
        weights[np.arange(new), rounded.clip(0, size - 1).astype(int)] = 1
        spelling = ("oh,nhwc->nowc", "ow,nhwc->nhoc")[axis]
        x = torch.einsum(spelling, placed(weights, x), x)
    return x


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """``DEPTH_TO_SPACE``: channels become blocks of pixels."""
    size = _block(node)
    height, width, depth = node.sizes(0, [1, 2, 3])
    if depth % (size * size):
        raise node.refuse(f"{depth} channels in blocks of {size}")
    y = x.reshape(-1, height, width, size, size, depth // (size * size))
    return y.permute(0, 1, 3, 2, 4, 5).reshape(-1, height * size, width * size, depth // size**2)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """``SPACE_TO_DEPTH``: blocks of pixels become channels."""
    size = _block(node)
    height, width, depth = node.sizes(0, [1, 2, 3])
    if height % size or width % size:
        raise node.refuse(f"{height} x {width} pixels in blocks of {size}")
    y = x.reshape(-1, height // size, size, width // size, size, depth)
    return y.permute(0, 1, 3, 2, 4, 5).reshape(-1, height // size, width // size, depth * size**2)


def _block(node: Node) -> int:
    size = int(node.get("blockSize", 0))
    if not 1 <= size <= _MOST_REPEATS or len(node.shapes[0]) != 4:
        raise node.refuse(f"blocks of {size}")
    return size


def _sizes(node: Node) -> tuple[tuple[int, ...], list[int]]:
    new = [int(size) for size in node.numbers(1)]
    if len(new) != 2 or any(not 1 <= size <= 1 << 14 for size in new) or len(node.shapes[0]) != 4:
        raise node.refuse(f"a size of {new}")
    return node.sizes(0, [1, 2]), new


def _placed(node: Node, at: Any, size: int, new: int) -> Any:
    """Where centres of pixels of the result lie among those of the image."""
    if node.get("alignCorners") and new > 1:
        return at * ((size - 1) / (new - 1))
    scale = size / new
    if node.get("halfPixelCenters"):
        return (at + 0.5) * scale - 0.5
    return at * scale


def _bilinear(node: Node, size: int, new: int) -> np.ndarray[Any, Any]:
    """Weights (new, size) of the pixels that each new one is made of."""
    places = np.maximum(_placed(node, np.arange(new), size, new), 0)
    low = np.minimum(np.floor(places).astype(int), size - 1)
    high = np.minimum(low + 1, size - 1)
    share = places - low
    weights = np.zeros((new, size))
    np.add.at(weights, (np.arange(new), low), 1 - share)
    np.add.at(weights, (np.arange(new), high), share)
    return weights


def _of_one_batch(node: Node, parts: Sequence[Tensor]) -> list[Tensor]:
    """Parts that can be joined: constants are there once, and no batch of them."""
    if all(node.batch_axis(at) is None for at in range(len(parts))):
        return list(parts)
    if any(node.batch_axis(at) is None for at in range(len(parts))):
        raise node.refuse("constants joined with images")
    return list(parts)
