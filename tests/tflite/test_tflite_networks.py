"""Networks of several layers, their gradients, batches, and files that are not what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tflite import File, answers, edited, schema

from compd.models.rounding import to_grid
from compd.runtimes import open_file
from compd.runtimes.converted import converted_file
from compd.tflite import read_tflite, to_module
from compd.tflite.doubling import doubled

Refuses = Callable[..., Any]
ASSETS = Path(__file__).parents[1] / "assets"
IMAGES = torch.randint(0, 256, (64, 3, 8, 8), generator=torch.Generator().manual_seed(0))


def network(seed: int, *, ends_wide: bool = True) -> tuple[bytes, Any]:
    """A block of a mobile network in int8, and its input's scale."""
    rng, file = np.random.default_rng(seed), File()
    x = file.input((1, 8, 8, 4), "int8", 0.02, -10)
    grids = {"e": (0.03, -128), "d": (0.04, -128), "p": (0.05, 3), "s": (0.06, -4), "m": (0.03, 1)}

    def weights(shape: tuple[int, ...], channels: int, axis: int, scale: float) -> list[int]:
        each = rng.uniform(0.5, 1.5, channels).astype(np.float32) * 0.5 / 127
        made = rng.integers(-127, 128, shape, np.int8)
        bias = rng.integers(-200, 200, channels, np.int32)
        return [
            file.tensor(shape, "int8", each, 0, axis=axis, numbers=made),
            file.tensor([channels], "int32", each * scale, 0, numbers=bias),
        ]

    same = {"padding": 0, "strideH": 1, "strideW": 1, "fusedActivationFunction": 3}
    wide = file.tensor((1, 8, 8, 12), "int8", *grids["e"])
    file.add("CONV_2D", [x, *weights((12, 1, 1, 4), 12, 0, 0.02)], [wide], same, "Conv2D")
    deep = file.tensor((1, 8, 8, 12), "int8", *grids["d"])
    own = same | {"depthMultiplier": 1}
    parts = weights((1, 3, 3, 12), 12, 3, 0.03)
    file.add("DEPTHWISE_CONV_2D", [wide, *parts], [deep], own, "DepthwiseConv2D")
    thin = file.tensor((1, 8, 8, 4), "int8", *grids["p"])
    linear = same | {"fusedActivationFunction": 0}
    file.add("CONV_2D", [deep, *weights((4, 1, 1, 12), 4, 0, 0.04)], [thin], linear, "Conv2D")
    total = file.tensor((1, 8, 8, 4), "int8", *grids["s"])
    file.add("ADD", [thin, x], [total])
    mean = file.tensor((1, 4), "int8", *grids["m"])
    axes = file.constant([1, 2])
    file.add("MEAN", [total, axes], [mean], {"keepDims": False}, "Reducer")
    logits = file.tensor((1, 5), "int8", 0.02 if ends_wide else 1e-4, 0)
    file.add("FULLY_CONNECTED", [mean, *weights((5, 4), 5, 0, 0.03)], [logits])
    out = file.tensor((1, 5))
    file.add("DEQUANTIZE", [logits], [out])
    return file.bytes(out), (0.02, -10)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_whole_networks(
    tmp_path_factory: pytest.TempPathFactory, seed: int, reference: bool
) -> None:
    content, _ = network(seed)
    path = tmp_path_factory.mktemp("m") / "m.tflite"
    path.write_bytes(content)
    x = np.random.default_rng(seed).integers(-128, 128, (6, 8, 8, 4), np.int8)
    said = np.concatenate([answers(content, one[None], reference=reference)[0] for one in x])
    module = to_module(read_tflite(path), doubling=reference)
    made = module(torch.from_numpy(x.astype(np.float32)))
    # Steps of layers before add up; each layer on its own is within one.
    assert float((made - torch.from_numpy(said)).abs().max()) <= 3 * 0.02 + 1e-5
    alone = torch.cat([module(torch.from_numpy(one[None].astype(np.float32))) for one in x])
    assert torch.equal(made, alone)


def test_sums_beyond_what_float32_holds(tmp_path: Path) -> None:
    file, rng = File(), np.random.default_rng(0)
    x = file.input((1, 4, 4, 80), "int8", 0.02, -128)
    levels = rng.integers(90, 128, (3, 3, 3, 80), np.int8)
    weight = file.tensor(levels.shape, "int8", [0.01] * 3, 0, numbers=levels)
    middle = file.tensor((1, 2, 2, 3), "int8", 25.0, -128)
    options = {"padding": 1, "strideH": 1, "strideW": 1}
    bias = file.tensor([3], "int32", [0.0002] * 3, 0, numbers=np.array([5, -7, 0], np.int32))
    file.add("CONV_2D", [x, weight, bias], [middle], options, "Conv2D")
    small = file.tensor(
        (2, 12), "int8", [0.01] * 2, 0, numbers=rng.integers(-9, 9, (2, 12), np.int8)
    )
    out = file.tensor((1, 2), "int8", 4.0, 0)
    file.add("FULLY_CONNECTED", [middle, small, -1], [out])
    content = file.bytes(out)
    (tmp_path / "m.tflite").write_bytes(content)
    image = rng.integers(-128, 128, (1, 4, 4, 80), np.int8)
    module = to_module(read_tflite(tmp_path / "m.tflite"), doubling=True)
    given = torch.from_numpy(image.astype(np.float32)).requires_grad_()
    made = module(given)
    assert made.dtype == torch.float32
    (said,) = answers(content, image)
    assert torch.equal(made.detach(), torch.from_numpy(said.astype(np.float32)) * 4)
    made.sum().backward()
    assert given.grad is not None


def test_gradients_are_those_of_the_layers_in_floats(tmp_path: Path) -> None:
    file, rng = File(), np.random.default_rng(0)
    x = file.input((1, 5, 5, 2), "int8", 0.5, 3)
    levels = rng.integers(-3, 4, (2, 3, 3, 2), np.int8)
    weight = file.tensor(levels.shape, "int8", [0.25, 0.5], 0, numbers=levels)
    out = file.tensor((1, 3, 3, 2), "int8", 4.0, -2)
    options = {"padding": 1, "strideH": 1, "strideW": 1}
    file.add("CONV_2D", [x, weight, -1], [out], options, "Conv2D")
    path = tmp_path / "m.tflite"
    path.write_bytes(file.bytes(out))
    image = torch.from_numpy(rng.integers(-20, 20, (2, 5, 5, 2)).astype(np.float32))
    image.requires_grad_()
    for doubling in (False, True):
        made = to_module(read_tflite(path), doubling=doubling)(image)
        assert float(made.detach().abs().max()) < 120 * 4  # nothing is cut off
        (grad,) = torch.autograd.grad(
            (made * torch.arange(made.numel()).view_as(made)).sum(), image
        )
        real = (image - 3) * 0.5
        scale = torch.tensor([0.25, 0.5]).view(2, 1, 1, 1)
        floats = torch.from_numpy(levels.astype(np.float32)).permute(0, 3, 1, 2) * scale
        wanted = torch.conv2d(real.permute(0, 3, 1, 2), floats).permute(0, 2, 3, 1)
        assert float((made - wanted).detach().abs().max()) <= 2.5  # half a step of 4, rounded twice
        (own,) = torch.autograd.grad(
            (wanted * torch.arange(made.numel()).view_as(made)).sum(), image
        )
        torch.testing.assert_close(grad, own, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("doubling", [False, True])
def test_answers_that_are_cut_off_have_gradients(tmp_path: Path, doubling: bool) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(network(1, ends_wide=False)[0])
    module = to_module(read_tflite(path), doubling=doubling)
    rounding = [node for node in module.graph.nodes if node.target in (to_grid, doubled)]
    assert [node.args[-1] for node in rounding] == [False] * (len(rounding) - 1) + [True]
    image = torch.randn(8, 8, 8, 4, generator=torch.Generator().manual_seed(0)) * 40
    image.requires_grad_()
    logits = module(image)
    ends = logits.abs() > 126e-4
    assert int(ends.all(1).sum()) >= 4  # images whose answers are all cut off
    logits[:, 0].sum().backward()
    assert bool((image.grad.flatten(1).abs().sum(1) > 0).all())


@pytest.mark.parametrize("kind", ["float", "int8", "float16", "hybrid"])
def test_files_of_other_toolchains(kind: str) -> None:
    path = ASSETS / f"{kind}.tflite"
    runtime = open_file(path)
    made = converted_file(runtime)(IMAGES.float() / 255).detach()
    said = runtime.run(IMAGES.to(torch.uint8))
    assert float((made.argmax(1) == said.argmax(1)).double().mean()) >= 0.98
    if kind in ("float", "float16"):
        torch.testing.assert_close(made.log_softmax(1), said.log_softmax(1), atol=1e-3, rtol=1e-3)


def _index(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs = [99, 1, 2]


def _order(model: Any) -> None:
    model.subgraphs[0].operators.reverse()


def _shape(model: Any) -> None:
    model.subgraphs[0].tensors[1].shape = [2**30, 2**30]


def _short(model: Any) -> None:
    model.buffers[1].data = model.buffers[1].data[:-1]


def _scale(model: Any) -> None:
    own = model.subgraphs[0].tensors[0].quantization
    own.scale = np.array([float("nan")], np.float32)


def _zero(model: Any) -> None:
    model.subgraphs[0].tensors[0].quantization.zeroPoint = np.array([300], np.int64)


def _scales(model: Any) -> None:
    model.subgraphs[0].tensors[1].quantization.scale = np.array([0.1] * 7, np.float32)


def _code(model: Any) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = 77


def _nothing(model: Any) -> None:
    model.subgraphs = []


def _no_output(model: Any) -> None:
    model.subgraphs[0].outputs = [len(model.subgraphs[0].tensors)]


def _buffer(model: Any) -> None:
    model.subgraphs[0].tensors[1].buffer = 50


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_index, "inputs [99, 1, 2]"),
        (_order, "which nothing has computed"),
        (_shape, "of shape (1073741824, 1073741824)"),
        (_short, "in 47 bytes"),
        (_scale, "no numbers above 0"),
        (_zero, "zero points outside of -128 to 127"),
        (_scales, "7 scales"),
        (_code, "operator 77"),
        (_nothing, "no graph"),
        (_no_output, "outputs ["),
        (_buffer, "in buffer 50"),
    ],
)
def test_claims_that_cannot_be(
    tmp_path: Path, edit: Callable[[Any], None], said: str, refuses: Refuses
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(edited(network(0)[0], edit))
    with refuses("expected a TFLite file that is whole", said, "m.tflite"):
        read_tflite(path)


def _stride(model: Any) -> None:
    model.subgraphs[0].operators[0].builtinOptions.strideH = 10**6


def _channels(model: Any) -> None:
    model.subgraphs[0].tensors[0].shape = [1, 8, 8, 5]


def _activation(model: Any) -> None:
    model.subgraphs[0].operators[0].builtinOptions.fusedActivationFunction = 5


def _kind(model: Any) -> None:
    model.operatorCodes[3].builtinCode = schema.BuiltinOperator.CUMSUM


def _claim(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if list(tensor.shape) == [1, 4]:
            tensor.shape = [1, 7]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_stride, "stride (1000000, 1)"),
        (_channels, "weights of 4 channels for 5"),
        (_activation, "fused activation 5"),
        (_kind, "operator CUMSUM"),
        (_claim, "to make shape (1, 7), as the file says, got (None, 4)"),
    ],
)
def test_what_has_no_gradient_is_named(
    tmp_path: Path, edit: Callable[[Any], None], said: str, refuses: Refuses
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(edited(network(0)[0], edit))
    with refuses("expected", said):
        to_module(read_tflite(path))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    from compd.errors import CompdError

    content = bytearray(network(0)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(9, len(content)))
    path = tmp_path_factory.mktemp("m") / "m.tflite"
    path.write_bytes(bytes(content[:end] if data.draw(st.booleans()) else content))
    try:
        to_module(read_tflite(path))
    except CompdError as error:
        told = str(error)
        assert "\n" not in told
