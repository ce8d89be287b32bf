"""Transposed convolutions and PReLU: as PyTorch's own mapping quantises them, or better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny import CPU, tiny_splits
from torch import Tensor, nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from compd.compress import Ptq, Qat, make_shadow
from compd.compress.explicit import explicit
from compd.compress.int8 import ENGINES, calibrated, convert, new_shadow, quantized_engine
from compd.models.inputs import to_input
from compd.runtimes import Int8Runtime

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "transposed": lambda: nn.ConvTranspose2d(8, 8, 4, 2, 1),
    "groups": lambda: nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=2, bias=False),
    "dilated": lambda: nn.ConvTranspose2d(8, 8, 3, dilation=2),
    "norm": lambda: nn.Sequential(
        nn.ConvTranspose2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()
    ),
    "one slope": nn.PReLU,
    "slopes": lambda: nn.PReLU(8),
}
IMAGES = tiny_splits().seeds.images[:16]


class Net(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.layer = layer
        self.linear = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.layer(self.conv(x)).mean((2, 3)))


class Functions(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = F.conv_transpose2d(self.conv(x), self.layer.weight, None, 2, 1)
        return self.linear(y.mean((2, 3)))


def net(layer: str, kind: type[Net] = Net) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = kind(LAYERS[layer]())
        if layer == "slopes":
            nn.init.uniform_(made.layer.weight, -0.2, 0.5)
    return made.eval()


def of_layer(graph: nn.Module, kind: str) -> list[nn.Module]:
    return [m for m in graph.modules() if type(m).__name__ == kind and "quantized" in repr(type(m))]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", [7, 8])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_kernel_is_int8_and_the_shadow_answers_as_it_does(
    layer: str, bits: int, engine: str
) -> None:
    model, x = net(layer), to_input(IMAGES)
    shadow = calibrated(new_shadow(model, example=x[:1], activation_bits=bits), IMAGES)
    graph = convert(shadow, engine)
    kind = "PReLU" if "slope" in layer else "ConvTranspose2d"
    assert len(of_layer(graph, kind)) == 1
    with torch.no_grad(), quantized_engine(engine):
        original, simulated, real = model(x), shadow(x), graph(x)
    assert (simulated == real).double().mean() > 0.7  # to the bit, but for ties in rounding
    assert (original - real).abs().max() < 0.03 * original.abs().max()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layer", LAYERS)
def test_no_further_from_the_original_than_by_the_stock_mapping(layer: str) -> None:
    model, x = net(layer), to_input(IMAGES)
    with torch.no_grad(), quantized_engine("x86"):
        prepared = prepare_fx(model, get_default_qconfig_mapping("x86"), (x,))
        prepared(x)
        stock = convert_fx(prepared)(x)
        shadow = calibrated(new_shadow(model, example=x[:1], histogram=True), IMAGES)
        here = convert(shadow, "x86")(x)
        original = model(x)
    slack = 0.01 * original.abs().max()
    assert (here - original).abs().max() <= (stock - original).abs().max() + slack


def test_what_is_positive_keeps_its_size() -> None:
    model = net("one slope")
    x = to_input(IMAGES)
    graph = convert(calibrated(new_shadow(model, example=x[:1]), IMAGES), "x86")
    (layer,) = of_layer(graph, "PReLU")
    ones = torch.quantize_per_tensor(torch.ones(4), layer.scale * 2, 0, torch.quint8)
    torch.testing.assert_close(
        layer(ones).dequantize(), ones.dequantize(), atol=layer.scale, rtol=0
    )


@pytest.mark.parametrize("layer", ["transposed", "slopes"])
def test_weights_that_training_moves_are_those_of_the_kernel(layer: str) -> None:
    model = net(layer)
    shadow = make_shadow(Qat(epochs=1, lr=0.05), model, tiny_splits(), device=CPU)
    trained = shadow.get_parameter("layer.weight")
    assert not torch.equal(trained, model.layer.weight)
    with torch.no_grad():
        simulated = shadow(to_input(IMAGES))
    assert (Int8Runtime(shadow, "x86").run(IMAGES) == simulated).double().mean() > 0.7


def test_fewer_bits_are_fewer_values() -> None:
    config = replace(Ptq(), weight_bits=4)
    shadow = make_shadow(config, net("transposed"), tiny_splits(), device=CPU)
    layer = shadow.get_submodule("layer")
    assert len(layer.weight_fake_quant(layer.weight).unique()) <= 16


@pytest.mark.parametrize("layer", ["transposed", "slopes"])
def test_an_exporter_sees_the_same_integers(layer: str) -> None:
    x = to_input(IMAGES)
    shadow = calibrated(new_shadow(net(layer), example=x[:1]), IMAGES)
    with torch.no_grad():
        torch.testing.assert_close(explicit(shadow)(x), shadow(x), atol=0.01, rtol=0)


def test_a_function_is_a_layer_too() -> None:
    model, x = net("transposed", Functions), to_input(IMAGES)
    graph = convert(calibrated(new_shadow(model, example=x[:1]), IMAGES), "x86")
    assert len(of_layer(graph, "ConvTranspose2d")) == 1
    with torch.no_grad():
        torch.testing.assert_close(graph(x), model(x), atol=0.02, rtol=0)
