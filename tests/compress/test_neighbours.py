"""Weights of 8 bits beside activations of 8 bits: no sum of two products leaves 16 bits."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny import calibrated_shadow, tiny_original, tiny_pair, tiny_splits
from torch import Tensor
from torch.ao.nn.quantized import Conv2d, Linear

from compd.compress import Ptq, Qat, starts
from compd.compress.int8 import convert
from compd.compress.neighbours import NeighbourObserver, neighbour_sums

SHAPES = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3)),
)
VALUES = st.floats(-2, 2, width=32)


def orders(row: np.ndarray) -> list[list[int]]:
    """Both orders in which a channel (I, ...) is laid out, one number after the other."""
    pixels = row.reshape(len(row), -1).T  # (pixels, I)
    padded = [v for pixel in pixels for v in [*map(int, pixel), *[0] * (len(pixel) % 2)]]
    straight = [int(value) for pixel in pixels for value in pixel]
    return [padded, [*straight, *[0] * (len(straight) % 2)]]


def sums(row: np.ndarray) -> list[int]:
    """What two neighbours come to at activations of 0 or 255, whichever is further from zero."""
    found = []
    for order in orders(row):
        for a, b in zip(order[::2], order[1::2], strict=True):
            found += [255 * (max(a, 0) + max(b, 0)), 255 * (min(a, 0) + min(b, 0))]
    return found


def rounded(weight: Tensor) -> tuple[np.ndarray, Tensor]:
    observer = NeighbourObserver(
        dtype=torch.qint8, qscheme=torch.per_channel_symmetric, quant_min=-128, quant_max=127
    )
    observer(weight)
    scale, zero_point = observer.calculate_qparams()
    assert not zero_point.any()
    view = scale.reshape(-1, *[1] * (weight.ndim - 1))
    levels = (weight / view).round().clamp(-128, 127)
    return levels.numpy().astype(int), scale


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=VALUES)))
def test_no_sum_of_two_products_overflows(values: np.ndarray) -> None:
    levels, scale = rounded(torch.from_numpy(values))
    info = np.iinfo(np.int16)
    for row in levels:
        assert all(info.min <= total <= info.max for total in sums(row))
    # no coarser than 7 bits, no finer than 8
    largest = torch.from_numpy(np.abs(values).reshape(len(values), -1).max(1))
    big = largest > 1e-3  # scales have a smallest value
    assert (scale[big] >= largest[big] / 127.5 * 0.999).all()
    assert (scale[big] <= largest[big] * 2 / 127 * 1.001).all()


def test_neighbours_of_other_signs_cost_nothing() -> None:
    alternating = torch.tensor([[1.0, -1.0, 0.99, -0.99, 0.5, -0.5]])
    alike = torch.tensor([[1.0, 1.0, 0.99, 0.99, 0.5, 0.5]])
    assert float(neighbour_sums(alternating)) == 1.0
    assert float(neighbour_sums(alike)) == 2.0
    assert float(rounded(alternating)[1]) == pytest.approx(1 / 127.5, rel=0.005)
    assert float(rounded(alike)[1]) == pytest.approx(2 / 127)


def test_an_odd_number_of_channels_has_two_orders() -> None:
    def sum_of(*places: tuple[int, int]) -> float:
        weight = torch.zeros(1, 3, 1, 3)
        for channel, pixel in places:
            weight[0, channel, 0, pixel] = 1
        return float(neighbour_sums(weight))

    assert sum_of((0, 0), (1, 0)) == 2
    assert sum_of((2, 0), (0, 1)) == 2  # FBGEMM: from one pixel to the next
    assert sum_of((0, 1), (1, 1)) == 2  # oneDNN: each pixel filled up to four
    assert sum_of((1, 0), (2, 0)) == 1
    assert sum_of((1, 0), (1, 1)) == 1


def shadows() -> list[torch.nn.Module]:
    images, pair = tiny_splits().calibration.images, tiny_pair(Qat())
    made = [calibrated_shadow(Ptq(activation_bits=8), tiny_original(), images)]
    return made + [one for _, one in starts(Qat(), pair.shadow, pair.original, images)]


@pytest.mark.parametrize("which", range(3))
def test_all_layers_of_a_model(which: int) -> None:
    shadow = shadows()[which]
    layers = [m for m in convert(shadow, "x86").modules() if isinstance(m, (Conv2d, Linear))]
    assert layers
    most = 0
    for layer in layers:
        for row in layer.weight().int_repr().numpy().astype(int):
            most = max(most, *(abs(total) for total in sums(row)))
    assert 2**14 < most < 2**15


def test_with_one_channel_any_two_are_neighbours() -> None:
    weight = torch.zeros(2, 1, 3, 3)
    weight[0, 0, 0, 0] = weight[0, 0, 2, 1] = 1
    weight[1, 0, 1, 1] = weight[1, 0, 0, 2] = -1
    assert neighbour_sums(weight).tolist() == [2, 2]


# Prints, for each number of channels, how far the kernels are from the shadow, without and with
# regard for neighbours; the environment chooses the kernels.
REAL = """
import sys
import torch
from torch import nn
from torch.ao.quantization.observer import PerChannelMinMaxObserver
import compd.compress.int8 as int8
from compd.compress import Ptq, empty_shadow

def apart(channels, observer):
    int8.NeighbourObserver = observer
    torch.manual_seed(0)
    first, last = nn.Conv2d(channels, 16, 3), nn.Conv2d(16, 8, 3)
    net = nn.Sequential(first, nn.ReLU(), last, nn.Flatten(1)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
        if channels == 1:  # a bar: neighbours are in one column
            first.weight[:, :, :, 1:] *= 0.01
    images = torch.randint(200, 256, (64, channels, 8, 8), dtype=torch.uint8)
    x = images[:8].float() / 255
    shadow = int8.calibrated(empty_shadow(Ptq(activation_bits=8), net, x[:1]), images)
    with torch.inference_mode():
        far = int8.convert(shadow, "onednn")(x) - shadow(x)
        return float(far.abs().max() / shadow(x).abs().max())

neighbours = int8.NeighbourObserver
for channels in map(int, sys.argv[1:]):
    print(*(apart(channels, how) for how in (PerChannelMinMaxObserver, neighbours)))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="needs an x86 CPU with AVX2",
)
@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE"])
def test_the_real_kernels_without_vnni(isa: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", REAL, "16", "3", "1"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
    )
    found = [[float(far) for far in line.split()] for line in said.stdout.splitlines()]
    assert len(found) == 3
    for plain, neighbours in found:
        assert neighbours < 0.01
        assert plain > 0.03
