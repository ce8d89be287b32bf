import pytest
import torch
from tiny import tiny_original, tiny_pair, tiny_splits

from compd.compress import Compression, Prune, Ptq, Qat, starts
from compd.compress.int8 import activation_quantisers
from compd.pair import Pair

IMAGES = tiny_splits().calibration.images


def starts_of(pair: Pair) -> list[tuple[Compression, torch.nn.Module]]:
    return list(starts(pair.spec.compress, pair.shadow, pair.original, IMAGES))


@pytest.mark.parametrize("config", [Qat(), Ptq()], ids=str)
def test_ranges_stay_and_have_more_levels(config: Compression) -> None:
    pair = tiny_pair(config)
    (new, shadow), _ = starts_of(pair)
    assert (new.weight_bits, new.activation_bits) == (8, 8)  # type: ignore[union-attr]
    for name, value in pair.shadow.named_parameters():
        if name.startswith("net.conv1."):  # it has taken in the normalisation
            continue
        assert torch.equal(value, shadow.get_parameter(name)), name
    before, after = (activation_quantisers(m) for m in (pair.shadow, shadow))
    del before[:1]  # of the normalised image; the image itself needs none
    for old, fine in zip(before, after, strict=True):
        wider = 1 if old.quant_max == 255 else 255 / 127  # the logits have 8 bits in either
        torch.testing.assert_close(old.scale, fine.scale * wider)


def test_the_originals_weights_come_back() -> None:
    pair = tiny_pair(Qat())
    with torch.no_grad():
        for parameter in pair.shadow.parameters():
            parameter.mul_(1.5)
    _, (_, fresh) = starts_of(pair)
    images = tiny_splits().heldout.images.float() / 255
    off = [
        float((m(images) - tiny_original()(images)).detach().abs().mean())
        for m in (pair.shadow, fresh)
    ]
    assert off[1] < 0.1 * off[0]


@pytest.mark.parametrize(
    "config", [Prune(epochs=1), Ptq(weight_bits=4), Qat(weight_bits=8, activation_bits=8)], ids=str
)
def test_bits_stay_where_none_can_be_moved(config: Compression) -> None:
    found = starts_of(tiny_pair(config))
    assert [new for new, _ in found] == ([] if isinstance(config, Prune) else [config])
