"""OpenVINO's graphs, converted by way of ONNX, against OpenVINO itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the extra onnx")
openvino = pytest.importorskip("openvino", reason="needs the extra openvino")
from openvino import opset13 as ops  # noqa: E402

from compd.onnx import to_module  # noqa: E402
from compd.onnx.from_openvino import read_openvino  # noqa: E402

Refuses = Callable[..., Any]
Make = Callable[[Any], Any]
RNG = np.random.default_rng(0)
HALF = ops.constant(np.float32(0.5))


def noise(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def whole(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))


def saved(make: Make, folder: Path, shape: tuple[int, ...] = (2, 4, 6, 7)) -> Path:
    image = ops.parameter([-1, *shape[1:]], np.float32, name="image")
    made = make(image)
    model = openvino.Model([made if hasattr(made, "get_node") else made.output(0)], [image], "m")
    path = folder / "m.xml"
    openvino.save_model(model, str(path), compress_to_fp16=False)
    return path


def conv(x: Any, weight: Any, name: str = "convolution", **more: Any) -> Any:
    given = {"strides": [2, 1], "pads_begin": [1, 0], "pads_end": [0, 1], "dilations": [1, 1]}
    return getattr(ops, name)(x, weight, **(given | more))


MAKES: dict[str, Make] = {
    "convolution": lambda x: conv(x, noise(5, 4, 3, 2)),
    "same": lambda x: conv(x, noise(5, 4, 3, 2), auto_pad="same_upper"),
    "groups": lambda x: conv(x, noise(2, 3, 2, 3, 3), "group_convolution"),
    "backwards": lambda x: ops.convolution_backprop_data(
        x, noise(4, 3, 3, 3), [2, 2], pads_begin=[1, 1], pads_end=[1, 1]
    ),
    "maximum": lambda x: ops.max_pool(
        x, [2, 2], [1, 1], [0, 0], [0, 0], [3, 2], rounding_type="ceil"
    ).output(0),
    "average": lambda x: ops.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], exclude_pad=True),
    "average with its border": lambda x: ops.avg_pool(
        x, [2, 2], [1, 1], [1, 1], [3, 3], exclude_pad=False
    ),
    "matmul": lambda x: ops.matmul(x, noise(5, 7), False, True),
    "turned": lambda x: ops.matmul(x, x, True, False),
    "transpose": lambda x: ops.transpose(x, whole(0, 2, 3, 1)),
    "reshape": lambda x: ops.reshape(x, whole(0, -1), True),
    "clamp": lambda x: ops.clamp(x, -0.3, 0.6),
    "elu": lambda x: ops.elu(x, 0.7),
    "hsigmoid": ops.hsigmoid,
    "hswish": ops.hswish,
    "gelu": lambda x: ops.gelu(x, "tanh"),
    "swish": lambda x: ops.swish(x, ops.constant(np.float32(1.3))),
    "prelu": lambda x: ops.prelu(x, noise(4)),
    "softmax": lambda x: ops.softmax(x, 1),
    "log softmax": lambda x: ops.log_softmax(x, -1),
    "arithmetic": lambda x: (x * noise(4, 1, 1) - HALF) / (ops.exp(x) + HALF),
    "more arithmetic": lambda x: ops.squared_difference(
        ops.maximum(x, noise(7)), ops.minimum(ops.negative(x), noise(6, 1))
    ),
    "roots": lambda x: ops.sqrt(ops.power(ops.absolute(x), ops.constant(np.float32(1.5)))),
    "means": lambda x: ops.reduce_mean(x, whole(2, 3), False),
    "norms": lambda x: ops.reduce_l2(x, whole(1), True),
    "joined": lambda x: ops.concat([x, ops.relu(x)], 1),
    "split": lambda x: ops.split(x, ops.constant(np.int64(1)), 2).output(1),
    "uneven": lambda x: ops.variadic_split(x, ops.constant(np.int64(1)), whole(3, 1)).output(0),
    "gather": lambda x: ops.gather(x, whole(3, 0, 0), ops.constant(np.int64(1))),
    "one place": lambda x: ops.gather(x, ops.constant(np.int64(2)), ops.constant(np.int64(2))),
    "slice": lambda x: ops.slice(x, whole(1), whole(6), whole(2), whole(3)),
    "strided": lambda x: ops.strided_slice(
        x,
        whole(0, 1, 0, 2),
        whole(0, 4, 0, 7),
        whole(1, 2, 1, 3),
        begin_mask=[1, 0, 1, 0],
        end_mask=[1, 0, 1, 0],
    ),
    "border": lambda x: ops.pad(
        x, whole(0, 0, 1, 2), whole(0, 0, 0, 1), "constant", ops.constant(np.float32(0.5))
    ),
    "unsqueezed": lambda x: ops.squeeze(ops.unsqueeze(x, whole(1)), whole(1)),
    "grid": lambda x: ops.fake_quantize(
        x, np.float32(-1.0), np.float32(1.5), np.float32(-1.0), np.float32(1.5), 256
    ),
    "grid of each channel": lambda x: ops.fake_quantize(
        x, -np.abs(noise(1, 4, 1, 1)), np.abs(noise(1, 4, 1, 1)), np.float32(-2.0),
        np.float32(2.0), 16,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKES)
def test_operators(name: str, tmp_path: Path) -> None:
    path = saved(MAKES[name], tmp_path)
    x = noise(2, 4, 6, 7)
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    said = core.compile_model(str(path), "CPU", settings)(x)[0]
    image = torch.from_numpy(x).requires_grad_()
    made = to_module(read_openvino(path))(image)
    told = torch.from_numpy(np.asarray(said, np.float32))
    if name.startswith("grid"):  # what lies half between two levels is rounded either way
        assert float(((made - told).abs() > 1e-5).double().mean()) < 0.01
    else:
        torch.testing.assert_close(made, told, atol=2e-5, rtol=1e-4)
    made.sum().backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())


def test_a_gradient_passes_within_the_grid(tmp_path: Path) -> None:
    low, high = np.float32(-1), np.float32(1)
    path = saved(lambda x: ops.fake_quantize(x, low, high, low, high, 256) * HALF, tmp_path)
    x = torch.linspace(-2, 2, 336).reshape(2, 4, 6, 7).requires_grad_()
    module = to_module(read_openvino(path))
    for node in module.graph.nodes:  # not the answers of a model, for this look
        if len(node.args) == 5:
            node.args = node.args[:4]
    module.recompile()
    module(x).sum().backward()
    inside = (x.detach().abs() <= 1).float()
    torch.testing.assert_close(x.grad, 0.5 * inside)


def test_what_has_no_counterpart_is_named(tmp_path: Path, refuses: Refuses) -> None:
    path = saved(lambda x: ops.cum_sum(x, ops.constant(np.int64(1))), tmp_path)
    with refuses("got operator CumSum in CumSum", "name the ONNX file"):
        read_openvino(path)


def test_an_ir_cut_short(tmp_path: Path, refuses: Refuses) -> None:
    path = saved(MAKES["convolution"], tmp_path)
    path.write_text(path.read_text()[:400])
    with refuses("expected a model that OpenVINO can read", "m.xml"):
        read_openvino(path)
