"""Each operator against LiteRT: floats to rounding errors, integers to the bit or to one step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tflite import File, answers

from compd.tflite import read_tflite, to_module

Made = tuple[File, int, np.ndarray[Any, Any]]
SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3


def compare(
    file: File, out: int, x: np.ndarray[Any, Any], tmp_path: Path, steps: float = 1.0
) -> torch.Tensor:
    """The module's answer to a batch, each image of which LiteRT answers alike."""
    content = file.bytes(out)
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    model = read_tflite(path)
    module = to_module(model, doubling=True)
    batch = torch.from_numpy(x.astype(np.float32))
    image = batch.requires_grad_()
    made = module(image)
    value = model.values[model.outputs[0]]
    wanted = []
    for one in x:
        (said,) = answers(content, one[None])
        wanted.append((said.astype(float) - value.zero) * value.scale if value.quantised else said)
    told = torch.from_numpy(np.concatenate(wanted).astype(np.float32))
    assert made.shape == told.shape
    if value.quantised:
        assert float((made - told).abs().max()) <= (steps + 1e-3) * value.scale
    else:
        torch.testing.assert_close(made, told, atol=2e-5, rtol=2e-4)
    made.sum().backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())
    return made.detach()


def numbers(rng: np.random.Generator, shape: tuple[int, ...], quantised: bool) -> Any:
    if quantised:
        return rng.integers(-128, 128, shape, np.int8)
    return rng.normal(size=shape).astype(np.float32)


def tensors(file: File, quantised: bool, shape: tuple[int, ...], *grid: Any) -> int:
    return file.tensor(shape, "int8", *grid) if quantised else file.tensor(shape)


def layer(
    file: File, rng: np.random.Generator, x: int, shape: tuple[int, ...], channels: int, axis: int
) -> tuple[int, int]:
    """Weights and a bias, of int8 with a scale for each channel, or floats."""
    grid = file.graph.tensors[x].quantization
    if grid is None:
        weight = rng.normal(size=shape).astype(np.float32) * 0.3
        bias = rng.normal(size=channels).astype(np.float32)
        return (
            file.tensor(shape, numbers=weight),
            file.tensor([channels], numbers=bias),
        )
    scales = rng.uniform(0.002, 0.02, channels).astype(np.float32)
    weight = rng.integers(-127, 128, shape, np.int8)
    bias = rng.integers(-3000, 3000, channels, np.int32)
    return (
        file.tensor(shape, "int8", scales, 0, axis=axis, numbers=weight),
        file.tensor([channels], "int32", scales * grid.scale[0], 0, numbers=bias),
    )


geometry = st.fixed_dictionaries(
    {
        "padding": st.sampled_from([SAME, VALID]),
        "strideH": st.integers(1, 3),
        "strideW": st.integers(1, 2),
        "fusedActivationFunction": st.sampled_from([NONE, RELU, RELU6]),
    }
)
few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31)


@few
@given(geometry, seeds, st.booleans(), st.integers(1, 3), st.integers(1, 2), st.integers(5, 9))
def test_convolutions(
    tmp_path_factory: pytest.TempPathFactory,
    options: dict[str, int],
    seed: int,
    quantised: bool,
    kernel: int,
    dilation: int,
    side: int,
) -> None:
    rng, file = np.random.default_rng(seed), File()
    shape = (side, side + 1, 4)
    x = file.input((1, *shape), *(("int8", 0.05, -3) if quantised else ()))
    depthwise = bool(rng.integers(2))
    if depthwise:
        options = options | {"strideW": options["strideH"]}  # LiteRT's own limit
        weight, bias = layer(file, rng, x, (1, kernel, kernel, 8), 8, 3)
        options = options | {"depthMultiplier": 2}
    else:
        groups = int(rng.integers(1, 3))
        weight, bias = layer(file, rng, x, (6, kernel, kernel, 4 // groups), 6, 0)
    options = options | {"dilationHFactor": dilation, "dilationWFactor": dilation}
    sizes = []
    for size, stride in zip(shape[:2], (options["strideH"], options["strideW"]), strict=True):
        reach = (kernel - 1) * dilation + 1
        sizes.append(-(-(size if options["padding"] == SAME else size - reach + 1) // stride))
    grid = (0.2, 7)
    out = tensors(file, quantised, (1, *sizes, 8 if depthwise else 6), *grid)
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    file.add(kind, [x, weight, bias], [out], options, "DepthwiseConv2D" if depthwise else "Conv2D")
    images = numbers(rng, (2, *shape), quantised)
    compare(file, out, images, tmp_path_factory.mktemp("m"), steps=0)


@few
@given(seeds, st.booleans(), st.sampled_from([NONE, RELU, RELU6]), st.booleans())
def test_full_connections(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    quantised: bool,
    activation: int,
    flat: bool,
) -> None:
    rng, file = np.random.default_rng(seed), File()
    shape = (12,) if flat else (2, 2, 3)  # rows are made of all that an image has
    x = file.input((1, *shape), *(("int8", 0.04, 5) if quantised else ()))
    weight, bias = layer(file, rng, x, (7, 12), 7, 0)
    out = tensors(file, quantised, (1, 7), 0.15, -9)
    options = {"fusedActivationFunction": activation}
    file.add("FULLY_CONNECTED", [x, weight, bias], [out], options)
    compare(file, out, numbers(rng, (3, *shape), quantised), tmp_path_factory.mktemp("m"))


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("padding", [SAME, VALID])
def test_transposed_convolutions(tmp_path: Path, quantised: bool, padding: int) -> None:
    rng, file = np.random.default_rng(3), File()
    x = file.input((1, 4, 5, 3), *(("int8", 0.05, 4) if quantised else ()))
    weight, bias = layer(file, rng, x, (6, 3, 3, 3), 6, 0)
    size = (8, 10) if padding == SAME else (9, 11)
    out = tensors(file, quantised, (1, *size, 6), 0.2, 1)
    shape = file.constant([1, *size, 6])
    options = {"padding": padding, "strideH": 2, "strideW": 2}
    file.add("TRANSPOSE_CONV", [shape, weight, x, bias], [out], options)
    compare(file, out, numbers(rng, (2, 4, 5, 3), quantised), tmp_path)


@few
@given(geometry, seeds, st.booleans(), st.booleans(), st.integers(1, 3))
def test_pools(
    tmp_path_factory: pytest.TempPathFactory,
    options: dict[str, int],
    seed: int,
    quantised: bool,
    largest: bool,
    kernel: int,
) -> None:
    rng, file = np.random.default_rng(seed), File()
    x = file.input((1, 7, 8, 3), *(("int8", 0.05, -3) if quantised else ()))
    options = options | {"filterHeight": kernel, "filterWidth": kernel}
    sizes = [
        -(-(size if options["padding"] == SAME else size - kernel + 1) // stride)
        for size, stride in zip((7, 8), (options["strideH"], options["strideW"]), strict=True)
    ]
    out = tensors(file, quantised, (1, *sizes, 3), 0.05, -3)
    file.add("MAX_POOL_2D" if largest else "AVERAGE_POOL_2D", [x], [out], options, "Pool2D")
    steps = 0.0  # of what is averaged in integers nothing is left to chance
    compare(file, out, numbers(rng, (2, 7, 8, 3), quantised), tmp_path_factory.mktemp("m"), steps)


UNARY: dict[str, dict[str, Any]] = {
    "RELU": {},
    "RELU6": {},
    "RELU_N1_TO_1": {},
    "LEAKY_RELU": {"alpha": 0.2},
    "HARD_SWISH": {},
    "GELU": {"approximate": False},
    "LOGISTIC": {},
    "TANH": {},
    "SOFTMAX": {"beta": 1.0},
    "ABS": {},
    "NEG": {},
    "EXP": {},
    "SQUARE": {},
    "SIN": {},
}
ON_GRIDS = ["RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "SOFTMAX"]
OWN = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}


@pytest.mark.parametrize(
    ("kind", "quantised"), [(k, False) for k in UNARY] + [(k, True) for k in ON_GRIDS]
)
def test_operators_of_one_tensor(tmp_path: Path, kind: str, quantised: bool) -> None:
    rng, file = np.random.default_rng(1), File()
    x = file.input((1, 4, 10), *(("int8", 0.05, -3) if quantised else ()))
    out = tensors(file, quantised, (1, 4, 10), *OWN.get(kind, (0.06, -20)))
    file.add(kind, [x], [out], UNARY[kind])
    compare(file, out, numbers(rng, (3, 4, 10), quantised), tmp_path)


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "PRELU"])
@pytest.mark.parametrize("activation", [NONE, RELU6])
def test_operators_of_two_tensors(
    tmp_path: Path, kind: str, quantised: bool, activation: int
) -> None:
    if kind == "DIV" and quantised:
        pytest.skip("LiteRT has no division of int8")
    rng, file = np.random.default_rng(2), File()
    same = kind in ("MAXIMUM", "MINIMUM")  # whose kernels compare integers
    x = file.input((1, 3, 4, 5), *(("int8", 0.05, -3) if quantised else ()))
    other = numbers(rng, (1, 1, 5), quantised)
    other = other + np.sign(other + 0.1).astype(other.dtype) if kind == "DIV" else other
    grid = (0.05, -3) if same else (0.02, 6)
    y = file.tensor(
        (1, 1, 5),
        "int8" if quantised else "float32",
        *(grid if quantised else ()),
        numbers=other,
    )
    out = tensors(file, quantised, (1, 3, 4, 5), *((0.05, -3) if same else (0.11, 2)))
    name = "MaximumMinimum" if same else ""
    fused = {} if same or kind == "PRELU" else {"fusedActivationFunction": activation}
    file.add(kind, [x, y], [out], fused, name)
    steps = 0 if kind in ("ADD", "SUB", "MUL") else 1
    compare(file, out, numbers(rng, (2, 3, 4, 5), quantised), tmp_path, steps)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("kind", "quantised"),
    [("MEAN", False), ("MEAN", True), ("SUM", False), ("REDUCE_MAX", False), ("REDUCE_MAX", True)],
)
def test_reductions(tmp_path: Path, kind: str, quantised: bool, keep: bool) -> None:
    rng, file = np.random.default_rng(4), File()
    grid = (0.05, -3)
    x = file.input((1, 4, 6, 3), *(("int8", *grid) if quantised else ()))
    own = grid if kind == "REDUCE_MAX" else (0.03, 5)
    out = tensors(file, quantised, (1, 1, 1, 3) if keep else (1, 3), *own)
    axes = file.constant([1, 2])
    file.add(kind, [x, axes], [out], {"keepDims": keep}, "Reducer")
    compare(file, out, numbers(rng, (2, 4, 6, 3), quantised), tmp_path, steps=0)


def _reshape(file: File, x: int, t: Callable[..., int]) -> int:
    out = t((1, 60))
    file.add("RESHAPE", [x, file.constant([1, 60])], [out], {"newShape": [1, 60]})
    return out


def _transpose(file: File, x: int, t: Callable[..., int]) -> int:
    out = t((1, 5, 3, 4))
    file.add("TRANSPOSE", [x, file.constant([0, 3, 1, 2])], [out])
    return out


def _images_in_the_middle(file: File, x: int, t: Callable[..., int]) -> int:
    moved, back = t((3, 1, 4, 5)), t((1, 4, 5))
    file.add("TRANSPOSE", [x, file.constant([1, 0, 2, 3])], [moved])
    where = [file.constant(v) for v in ([1, 0, 0, 0], [2, 1, 4, 5], [1, 1, 1, 1])]
    options = {"shrinkAxisMask": 1, "beginMask": 14, "endMask": 14}
    file.add("STRIDED_SLICE", [moved, *where], [back], options)
    return back


def _slices(file: File, x: int, t: Callable[..., int]) -> int:
    out = t((1, 2, 2, 5))
    where = [file.constant(v) for v in ([0, 0, 1, 0], [1, -1, 4, 0], [1, 1, 2, 1])]
    file.add("STRIDED_SLICE", [x, *where], [out], {"endMask": 8, "beginMask": 8})
    return out


def _slice(file: File, x: int, t: Callable[..., int]) -> int:
    out = t((1, 2, 4, 3))
    where = [file.constant(v) for v in ([0, 1, 0, 2], [-1, 2, -1, 3])]
    file.add("SLICE", [x, *where], [out])
    return out


def _pad(file: File, x: int, t: Callable[..., int]) -> int:
    out = t((1, 6, 5, 5))
    file.add("PAD", [x, file.constant([[0, 0], [1, 2], [0, 1], [0, 0]])], [out])
    return out


def _joined(file: File, x: int, t: Callable[..., int]) -> int:
    parts = [t((1, 3, 4, 2)), t((1, 3, 4, 3))]
    file.add("SPLIT_V", [x, file.constant([2, 3]), file.constant(3)], parts, {"numSplits": 2})
    out = t((1, 3, 4, 5))
    file.add("CONCATENATION", parts[::-1], [out], {"axis": 3})
    return out


def _stacked(file: File, x: int, t: Callable[..., int]) -> int:
    parts = [t((1, 3, 2, 5)), t((1, 3, 2, 5))]
    file.add("SPLIT", [file.constant(2), x], parts, {"numSplits": 2})
    out = t((1, 3, 2, 2, 5))
    file.add("PACK", parts, [out], {"axis": 2, "valuesCount": 2})
    return out


def _unpacked(file: File, x: int, t: Callable[..., int]) -> int:
    parts = [t((1, 4, 5)) for _ in range(3)]
    file.add("UNPACK", [x], parts, {"num": 3, "axis": 1})
    return parts[1]


def _gathered(file: File, x: int, t: Callable[..., int]) -> int:
    out = t((1, 3, 4, 4))
    file.add("GATHER", [x, file.constant([4, 0, 2, 2])], [out], {"axis": 3})
    return out


def _squeezed(file: File, x: int, t: Callable[..., int]) -> int:
    apart, out = t((1, 1, 3, 4, 5)), t((1, 3, 4, 5))
    file.add("EXPAND_DIMS", [x, file.constant(1)], [apart])
    file.add("SQUEEZE", [apart], [out], {"squeezeDims": [1]})
    return out


def _tiled(file: File, x: int, t: Callable[..., int]) -> int:
    out = t((1, 6, 4, 5))
    file.add("TILE", [x, file.constant([1, 2, 1, 1])], [out])
    return out


LAYOUTS = [
    _reshape, _transpose, _images_in_the_middle, _slices, _slice, _pad, _joined, _stacked,
    _unpacked, _gathered, _squeezed, _tiled,
]  # fmt: skip


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_what_only_moves_values(tmp_path: Path, make: Callable[..., int], quantised: bool) -> None:
    rng, file = np.random.default_rng(5), File()
    x = file.input((1, 3, 4, 5), *(("int8", 0.05, -3) if quantised else ()))
    out = make(file, x, lambda shape: tensors(file, quantised, shape, 0.05, -3))
    compare(file, out, numbers(rng, (2, 3, 4, 5), quantised), tmp_path, steps=0)


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("place", ["", "alignCorners", "halfPixelCenters"])
@pytest.mark.parametrize("size", [(7, 9), (2, 3), (8, 10)])
def test_other_sizes(
    tmp_path: Path, nearest: bool, place: str, size: tuple[int, int], quantised: bool
) -> None:
    rng, file = np.random.default_rng(6), File()
    x = file.input((1, 4, 5, 3), *(("int8", 0.05, -3) if quantised else ()))
    out = tensors(file, quantised, (1, *size, 3), 0.05, -3)
    kind = "RESIZE_NEAREST_NEIGHBOR" if nearest else "RESIZE_BILINEAR"
    options = {place: True} if place else {}
    file.add(kind, [x, file.constant(size)], [out], options)
    compare(file, out, numbers(rng, (2, 4, 5, 3), quantised), tmp_path)


def test_blocks(tmp_path: Path) -> None:
    rng, file = np.random.default_rng(7), File()
    x = file.input((1, 4, 6, 4))
    flat, out = file.tensor((1, 8, 12, 1)), file.tensor((1, 4, 6, 4))
    file.add("DEPTH_TO_SPACE", [x], [flat], {"blockSize": 2})
    file.add("SPACE_TO_DEPTH", [flat], [out], {"blockSize": 2})
    compare(file, flat, numbers(rng, (2, 4, 6, 4), False), tmp_path)


@pytest.mark.parametrize("quantised", [False, True])
def test_products_of_two_images(tmp_path: Path, quantised: bool) -> None:
    rng, file = np.random.default_rng(8), File()
    x = file.input((1, 4, 5), *(("int8", 0.05, -3) if quantised else ()))
    out = tensors(file, quantised, (1, 4, 4), 0.6, 2)
    file.add("BATCH_MATMUL", [x, x], [out], {"adjY": True}, "BatchMatMul")
    compare(file, out, numbers(rng, (2, 4, 5), quantised), tmp_path)


def test_grids(tmp_path: Path) -> None:
    rng, file = np.random.default_rng(9), File()
    x = file.input((1, 30))
    first, second, out = (
        file.tensor((1, 30), "int8", 0.03, 4),
        file.tensor((1, 30), "uint8", 0.05, 120),
        file.tensor((1, 30)),
    )
    file.add("QUANTIZE", [x], [first])
    file.add("QUANTIZE", [first], [second])
    file.add("DEQUANTIZE", [second], [out])
    content = file.bytes(out)
    made = compare_grid(file, content, rng, tmp_path)
    assert made <= 0.05 + 1e-6


def compare_grid(file: File, content: bytes, rng: np.random.Generator, tmp_path: Path) -> float:
    del file
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    x = rng.normal(size=(1, 30)).astype(np.float32) * 3
    (said,) = answers(content, x)
    made = to_module(read_tflite(path))(torch.from_numpy(x))
    return float((made - torch.from_numpy(said)).abs().max())


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_smaller_weights_of_float_layers(tmp_path: Path, kind: str) -> None:
    rng, file = np.random.default_rng(10), File()
    x = file.input((1, 6, 6, 3))
    weight = rng.normal(size=(8, 3, 3, 3)).astype(np.float32) * 0.2
    bias = file.tensor([8], numbers=rng.normal(size=8).astype(np.float32))
    out = file.tensor((1, 6, 6, 8))
    if kind == "float16":
        half = file.tensor(weight.shape, "float16", numbers=weight.astype(np.float16))
        whole = file.tensor(weight.shape)
        file.add("DEQUANTIZE", [half], [whole])
    else:
        scale = np.abs(weight).reshape(8, -1).max(1) / 127
        levels = np.round(weight / scale.reshape(-1, 1, 1, 1)).astype(np.int8)
        whole = file.tensor(weight.shape, "int8", scale, 0, numbers=levels)
    options = {"padding": SAME, "strideH": 1, "strideW": 1}
    file.add("CONV_2D", [x, whole, bias], [out], options, "Conv2D")
    path = tmp_path / "m.tflite"
    path.write_bytes(file.bytes(out))
    images = rng.normal(size=(1, 6, 6, 3)).astype(np.float32)
    (said,) = answers(path.read_bytes(), images)
    made = to_module(read_tflite(path))(torch.from_numpy(images)).detach().numpy()
    step = (images.max() - images.min()) / 255  # to which hybrid kernels round the image
    most = 1e-5 if kind == "float16" else step * np.abs(weight).sum((1, 2, 3)).max() / 2
    assert np.abs(made - said).max() <= most
