import pytest
import torch
from tiny import tiny_pair, tiny_splits
from torch import nn
from torch.ao.nn.quantized import Conv2d, Linear

from compd.compress import Compression, Prune, Ptq, Qat
from compd.compress.finer import finer
from compd.compress.int8 import activation_quantisers, convert
from compd.models.inputs import to_input
from compd.pair import Pair

EXAMPLE = to_input(tiny_splits().seeds.images[:1])


def moved(pair: Pair) -> tuple[Compression, nn.Module]:
    made = finer(pair.spec.compress, pair.shadow, pair.original, EXAMPLE)
    assert made is not None
    return made


@pytest.mark.parametrize("config", [Qat(), Ptq()], ids=str)
def test_ranges_stay_and_have_more_levels(config: Compression) -> None:
    pair = tiny_pair(config)
    new, shadow = moved(pair)
    assert (new.weight_bits, new.activation_bits) == (7, 8)
    for name, value in pair.shadow.named_parameters():
        assert torch.equal(value, shadow.get_parameter(name)), name
    before, after = (activation_quantisers(m) for m in (pair.shadow, shadow))
    for old, fine in zip(before, after, strict=True):
        wider = 1 if old.quant_max == 255 else 255 / 127  # the logits have 8 bits in either
        torch.testing.assert_close(old.scale, fine.scale * wider)


@pytest.mark.parametrize("config", [Qat(), Ptq()], ids=str)
def test_no_kernel_can_saturate(config: Compression) -> None:
    _, shadow = moved(tiny_pair(config))
    layers = [m for m in convert(shadow, "x86").modules() if isinstance(m, (Conv2d, Linear))]
    assert layers
    largest = max(int(m.weight().int_repr().short().abs().max()) for m in layers)
    assert 32 < largest <= 64
    assert torch.iinfo(torch.int16).max >= 2 * 255 * largest


@pytest.mark.parametrize(
    "config", [Prune(epochs=1), Ptq(weight_bits=4), Qat(weight_bits=7, activation_bits=8)], ids=str
)
def test_nothing_to_move(config: Compression) -> None:
    pair = tiny_pair(config)
    assert finer(config, pair.shadow, pair.original, EXAMPLE) is None
