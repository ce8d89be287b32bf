"""Sums of 16 bits, against oneDNN's own kernels for CPUs that have no better ones."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from compd.onnx import to_module
from compd.onnx.saturation import observed, risks, saturating

# Prints what int8 convolutions of a PyTorch engine give; the environment chooses its kernels.
REAL = """
import json, sys, torch
from torch.ao.nn.quantized import functional as qf
torch.backends.quantized.engine = "onednn"
found = []
for case in json.load(sys.stdin):
    x = torch.tensor(case["x"])
    xq = torch.quantize_per_tensor((x - case["zero"]).float(), 1.0, case["zero"], torch.quint8)
    xq = xq.contiguous(memory_format=torch.channels_last)
    wq = torch.quantize_per_tensor(torch.tensor(case["w"]).float(), 1.0, 0, torch.qint8)
    y = qf.conv2d(xq, wq, torch.zeros(len(case["w"])), stride=case["stride"], padding=case["pad"],
                  groups=case["group"], scale=case["step"], zero_point=128)
    found.append(y.int_repr().tolist())
print(json.dumps(found))
"""


def graph(
    w: np.ndarray, *, zero: int, stride: int, pad: int, group: int, size: int
) -> onnx.ModelProto:
    """A dequantised image through a dequantised convolution, both with scale 1."""
    constants = {
        "one": np.float32(1),
        "zero": np.uint8(zero),
        "none": np.int8(0),
        "w": w,
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["a"]),
        helper.make_node("DequantizeLinear", ["w", "one", "none"], ["b"]),
        helper.make_node(
            "Conv", ["a", "b"], ["y"], pads=[pad] * 4, strides=[stride] * 2, group=group, name="c"
        ),
    ]
    channels = w.shape[1] * group
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, size, size])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )


CASES = {
    "dense": {"channels": 16, "out": 16, "kernel": 3, "pad": 1, "stride": 1, "group": 1, "zero": 0},
    "odd channels": {
        "channels": 3,
        "out": 16,
        "kernel": 3,
        "pad": 1,
        "stride": 2,
        "group": 1,
        "zero": 100,
    },
    "pointwise": {
        "channels": 32,
        "out": 16,
        "kernel": 1,
        "pad": 0,
        "stride": 1,
        "group": 1,
        "zero": 7,
    },
    "depthwise": {
        "channels": 16,
        "out": 16,
        "kernel": 3,
        "pad": 1,
        "stride": 1,
        "group": 16,
        "zero": 0,
    },
}


def drawn(case: dict[str, int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights, levels (N, C, H, W), and the step of the results."""
    draw = np.random.default_rng(0)
    shape = (case["out"], case["channels"] // case["group"], case["kernel"], case["kernel"])
    w = draw.integers(-127, 128, shape).astype(np.int8)
    x = draw.integers(0, 256, (2, case["channels"], 6, 6))
    x[0] = 255  # as far as it goes
    w[0] = 127
    return w, x, 4000.0 * max(1, case["channels"] // case["group"] // 3)


@pytest.fixture(scope="module")
def onednn() -> dict[str, torch.Tensor]:
    """What the kernels give for each case; one process for all."""
    given = []
    for case in CASES.values():
        w, x, step = drawn(case)
        given.append({**case, "x": x.tolist(), "w": w.tolist(), "step": step})
    said = subprocess.run(
        [sys.executable, "-c", REAL],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        check=True,
    )
    found = [torch.tensor(one).float() for one in json.loads(said.stdout)]
    return dict(zip(CASES, found, strict=True))


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="needs an x86 CPU with AVX2",
)
@pytest.mark.parametrize("name", CASES)
def test_as_onednn_without_vnni(name: str, onednn: dict[str, torch.Tensor]) -> None:
    case, real = CASES[name], onednn[name]
    w, x, step = drawn(case)
    geometry = {key: case[key] for key in ("zero", "stride", "pad", "group")}
    model = graph(w, **geometry, size=6)
    pixels = torch.tensor(x - case["zero"]).float()
    emulated, exact = (to_module(m)(pixels) for m in (saturating(model), model))

    def levels(y: torch.Tensor) -> torch.Tensor:
        return (y / step + 128).round().clamp(0, 255)

    assert (levels(emulated) - real).abs().max() <= 1  # rounds of ties
    if case["group"] == 1:
        assert (levels(exact) - real).abs().max() > 3
        assert not torch.equal(emulated, exact)
    else:
        assert torch.equal(emulated, exact)


def test_risks() -> None:
    w = np.zeros((2, 4, 1, 1), np.int8)
    w[0, :, 0, 0] = [127, 1, 64, 65]  # 128: holds; 129: does not
    model = graph(w, zero=0, stride=1, pad=0, group=1, size=4)
    (risk,) = risks(model)
    assert (risk.node, risk.kind, risk.pairs, risk.risky) == ("c", "Conv", 4, 1)
    w[0, 3] = 64
    assert risks(graph(w, zero=0, stride=1, pad=0, group=1, size=4))[0].risky == 0


def test_seven_bits_cannot_saturate() -> None:
    draw = np.random.default_rng(1)
    w = draw.integers(-64, 65, (8, 8, 3, 3)).astype(np.int8)
    model = graph(w, zero=3, stride=1, pad=1, group=1, size=5)
    x = torch.from_numpy(draw.integers(-3, 253, (2, 8, 5, 5))).float()
    assert risks(model)[0].risky == 0
    torch.testing.assert_close(to_module(saturating(model))(x), to_module(model)(x))


def test_signed_activations_are_shifted() -> None:
    """The same numbers as int8 and as uint8: the same layers, and the same sums."""
    draw = np.random.default_rng(2)
    w = draw.integers(-127, 128, (4, 6, 3, 3)).astype(np.int8)
    unsigned = graph(w, zero=128, stride=1, pad=1, group=1, size=5)
    signed = graph(w, zero=0, stride=1, pad=1, group=1, size=5)
    for tensor in signed.graph.initializer:
        if tensor.name == "zero":
            tensor.CopyFrom(numpy_helper.from_array(np.int8(0), "zero"))
    assert [r.risky for r in risks(signed)] == [r.risky for r in risks(unsigned)]
    x = torch.from_numpy(draw.integers(-128, 128, (2, 6, 5, 5))).float()
    here, there = (to_module(saturating(model))(x) for model in (signed, unsigned))
    torch.testing.assert_close(here, there)
    assert not torch.equal(here, to_module(signed)(x))


def test_layers_are_told_apart() -> None:
    w = np.zeros((2, 4, 1, 1), np.int8)
    w[0, :2, 0, 0] = 127  # the first channel of the result saturates where both inputs are high
    w[1] = 1
    x = torch.zeros(1, 4, 2, 2)
    x[0, :2, 0, :] = 255  # in the upper half
    module = to_module(saturating(graph(w, zero=0, stride=1, pad=0, group=1, size=2)))
    ((changed, worst),) = observed(module, x)
    assert changed == 0.25
    assert worst == pytest.approx(1 - 32767 / (2 * 255 * 127))
    assert observed(module, x / 2) == [(0.0, 0.0)]
