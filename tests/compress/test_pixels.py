"""Images that enter an int8 model as the integers that they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import calibrated_shadow, tiny_original, tiny_pair, tiny_splits
from torch import Tensor, nn

from compd.compress import Ptq, Qat, starts
from compd.compress.int8 import convert, new_shadow
from compd.compress.pixels import bordered, normalised, take_images_
from compd.models.factory import trace
from compd.models.inputs import to_input
from compd.models.normalise import Normalise
from compd.pair import Pair

LEVELS = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(2, 3, 16, 16)


class Net(nn.Module):
    def __init__(self, before: Callable[[Tensor], Any], convolution: nn.Module) -> None:
        super().__init__()
        self.before, self.conv = before, convolution

    def forward(self, x: Tensor) -> Any:
        return self.conv(self.before(x))


@given(
    st.lists(st.integers(0, 255), min_size=3, max_size=3),
    st.lists(st.floats(0.1, 2), min_size=3, max_size=3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(1, 2),
    st.booleans(),
    st.integers(0, 99),
)
def test_the_first_convolution_takes_in_the_normalisation(
    mean: list[int],
    std: list[float],
    kernel: int,
    rows: int,
    columns: int,
    stride: int,
    dilation: int,
    bias: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    convolution = nn.Conv2d(3, 4, kernel, stride, (rows, columns), dilation=dilation, bias=bias)
    model = Net(Normalise([n / 255 for n in mean], std), convolution).eval()
    traced = trace(copy.deepcopy(model), "model")
    take_images_(traced)
    assert any(node.target is bordered for node in traced.graph.nodes)
    x = torch.randint(0, 256, (2, 3, 7, 9)).float() / 255
    torch.testing.assert_close(traced(x), model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("before", "convolution"),
    [
        pytest.param(lambda x: 1 / (x + 1), nn.Conv2d(3, 4, 3), id="inverse"),
        pytest.param(lambda x: x * x, nn.Conv2d(3, 4, 3), id="square"),
        pytest.param(lambda x: x * x * 1e-6, nn.Conv2d(3, 4, 3), id="small square"),
        pytest.param(lambda x: x * 0, nn.Conv2d(3, 4, 3), id="nothing"),
        pytest.param(lambda x: x + float("inf"), nn.Conv2d(3, 4, 3), id="infinite"),
        pytest.param(lambda x: x - x.mean(), nn.Conv2d(3, 4, 3), id="own mean"),
        pytest.param(lambda x: x - torch.zeros(8), nn.Conv2d(3, 4, 3), id="by columns"),
        pytest.param(lambda x: x - 2, nn.Conv2d(3, 4, 3, padding=1), id="no pixel is zero"),
        pytest.param(lambda x: x + 0.5, nn.Conv2d(3, 4, 3, padding="same"), id="same"),
        pytest.param(
            lambda x: x + 0.5, nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), id="reflect"
        ),
        pytest.param(lambda x: x - 0.5, nn.Conv2d(3, 3, 3, groups=3), id="groups"),
        pytest.param(lambda x: x - 0.5, nn.ReLU(), id="no convolution"),
        pytest.param(lambda x: (x - 0.5) + nn.functional.relu(x), nn.Conv2d(3, 4, 3), id="twice"),
    ],
)
def test_what_it_cannot_take_in_stays(before: Any, convolution: nn.Module) -> None:
    model = Net(before, convolution).eval()
    traced = trace(copy.deepcopy(model), "model")
    assert normalised(traced) is None
    code = traced.code
    take_images_(traced)
    assert traced.code == code


class Gated(nn.Module):
    """A normalisation by a value that a module makes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.gate, self.conv = nn.Sigmoid(), nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Any:
        return self.conv(x - self.gate(self.mean))


def test_what_is_computed_is_no_constant() -> None:
    assert normalised(trace(Gated().eval(), "model")) is None


class Tied(nn.Module):
    """Two convolutions with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Any:
        return self.b(torch.relu(self.a(x / 0.25)))


def test_weights_that_are_used_elsewhere_stay_there() -> None:
    model = Tied().eval()
    traced = trace(copy.deepcopy(model), "model")
    take_images_(traced)
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(traced(x), model(x), rtol=1e-3, atol=1e-4)


def test_without_padding_any_line_goes() -> None:
    model = Net(lambda x: 3 * (x - 2), nn.Conv2d(3, 4, 3)).eval()
    traced = trace(copy.deepcopy(model), "model")
    take_images_(traced)
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(traced(x), model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("config", [Ptq(activation_bits=8), Qat(activation_bits=8)], ids=str)
def test_no_pixel_is_rounded(config: Ptq | Qat) -> None:
    shadow: Any = tiny_pair(config).shadow
    (node,) = [node for node in shadow.graph.nodes if node.target is bordered]
    (user,) = node.users
    quantise = shadow.get_submodule(str(user.target))
    image, pixel = to_input(LEVELS), shadow.border_pixel
    assert torch.equal(255 * pixel, (255 * pixel).round())
    inside = bordered(image, pixel, [1, 1, 1, 1])
    torch.testing.assert_close(quantise(inside), inside, rtol=0, atol=1e-7)
    scale, zero_point = quantise.calculate_qparams()
    integers = torch.quantize_per_tensor(inside, float(scale), int(zero_point), torch.quint8)
    assert torch.equal(integers.int_repr()[:, :, 1:-1, 1:-1], LEVELS)


def test_with_7_bits_nothing_changes() -> None:
    images, wide = tiny_splits().heldout.images, []
    for bits in (7, 8):
        shadow = new_shadow(tiny_original(), example=to_input(images[:1]), activation_bits=bits)
        wide.append(any(node.target is bordered for node in shadow.graph.nodes))
    assert wide == [False, True]  # with 7 bits a pixel is rounded in any case


class Small(nn.Module):
    """A residual network behind some normalisation."""

    def __init__(self, before: Callable[[Tensor], Tensor], channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before = before
        self.a = nn.Conv2d(channels, 8, 3, padding=1, bias=False)
        self.b = nn.Conv2d(8, 8, 3, padding=1)
        self.end = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.a(self.before(x)))
        y = torch.relu(y + self.b(y))
        z: Tensor = self.end(y.mean((2, 3)) + 0.5)
        return z


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "before",
    [
        pytest.param(lambda x: x, id="none"),
        pytest.param(lambda x: (x - 0.5) / 0.25, id="sub, div"),
        pytest.param(lambda x: x * 2 - 1, id="mul, sub"),
        pytest.param(lambda x: (x + -0.5) * 4, id="add, mul"),
        pytest.param(Normalise([0.2], [0.3]), id="module"),
    ],
)
def test_the_finer_start_computes_the_same_but_for_rounding(before: Any, channels: int) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, channels, 8, 8), generator=draw, dtype=torch.uint8)
    model = Small(before, channels).eval()
    shadow = calibrated_shadow(Ptq(), model, images)
    found = [made for _, made in starts(Ptq(), shadow, model, images)]
    assert len(found) == 2
    x = to_input(images)
    with torch.inference_mode():
        exact = model(x)
        off = [float((made(x) - exact).abs().max()) for made in (shadow, *found)]
    assert off[1] <= 1.2 * off[0]  # the same weights, more levels
    assert off[2] <= 1.2 * off[0]


def test_a_pair_of_images_as_they_are_is_stored(tmp_path: Path) -> None:
    pair = tiny_pair(Ptq(activation_bits=8))
    pair.save(tmp_path / "pair")
    again = Pair.load(tmp_path / "pair")
    assert again.hashes == pair.hashes
    images = tiny_splits().heldout.images
    assert torch.equal(again.deployed.run(images), pair.deployed.run(images))
    for engine in ("onednn", "qnnpack"):
        deployed = convert(pair.shadow, engine)
        close = deployed(to_input(images)).argmax(1) == pair.shadow(to_input(images)).argmax(1)
        assert close.double().mean() > 0.9
