import copy

import pytest
import torch
from tiny import CPU, tiny_original, tiny_pair, tiny_splits
from torch import nn

from compd.compress import Distilled, Prune, Ptq, Qat, config_from_json, config_to_json, make_shadow
from compd.compress.int8 import (
    ENGINES,
    activation_quantisers,
    calibrate_,
    convert,
    freeze_ranges_,
    new_shadow,
    quantized_engine,
)
from compd.errors import CompdError
from compd.models import state_hash
from compd.models.inputs import to_input
from compd.runtimes import Int8Runtime

STUDENT = Distilled(student="lenet1", width=2, epochs=1)
CONFIGS = [Qat(), Ptq(), Ptq(weight_bits=4), Prune(epochs=2), STUDENT]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_config_round_trip(config):
    assert config_from_json(config_to_json(config)) == config


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "zip"},
        {"kind": "ptq"},
        {"kind": "ptq", "weight_bits": "8", "activation_bits": 7},
        {"kind": "ptq", "weight_bits": True, "activation_bits": 7},
        config_to_json(STUDENT) | {"student": "os"},
        config_to_json(STUDENT) | {"student": 1},
        config_to_json(STUDENT) | {"width": "4"},
        {"kind": "ptq", "weight_bits": 3, "activation_bits": 7},
        {"kind": "ptq", "weight_bits": 8, "activation_bits": 7, "more": 1},
    ],
)
def test_config_refuses_what_it_did_not_write(data):
    with pytest.raises(CompdError):
        config_from_json(data)


@pytest.mark.parametrize("config", [Qat(), Ptq(), Prune(epochs=1), STUDENT], ids=str)
def test_the_original_is_not_changed(config):
    original = tiny_original()
    before = state_hash(original.state_dict())
    make_shadow(config, original, tiny_splits(), device=CPU)
    assert state_hash(original.state_dict()) == before


@pytest.mark.parametrize("config", [Qat(), Ptq()], ids=str)
def test_int8_shadow_has_fake_quantisation_in_its_forward_pass(config):
    pair = tiny_pair(config)
    x = to_input(tiny_splits().seeds.images)
    shadow, original = pair.shadow(x), pair.original(x)
    assert not torch.equal(shadow, original)
    # 8-bit logits: no more than 256 values
    assert len(shadow.unique()) <= 256
    assert (shadow.argmax(1) == original.argmax(1)).float().mean() > 0.9


@pytest.mark.parametrize("bits", [7, 8])
def test_activations_use_all_levels_that_their_bits_have(bits):
    images = tiny_splits().calibration.images
    shadow = new_shadow(tiny_original(), example=to_input(images[:1]), activation_bits=bits)
    calibrate_(shadow, images)
    freeze_ranges_(shadow)
    ranges = activation_quantisers(shadow)
    assert len(ranges) > 2
    logits = 255  # which no kernel reads
    assert {q.quant_max for q in ranges} == {2**bits - 1, logits}
    for quantiser in ranges:
        seen = quantiser.activation_post_process
        spread = seen.max_val.clamp_min(0) - seen.min_val.clamp_max(0)
        torch.testing.assert_close(quantiser.scale, (spread / quantiser.quant_max).reshape(1))


def test_batchnorm_is_folded():
    shadow = tiny_pair(Qat()).shadow
    assert not any(isinstance(m, nn.BatchNorm2d) for m in shadow.modules())


def test_gradient_goes_through_the_shadow():
    pair = tiny_pair()
    x = to_input(tiny_splits().seeds.images[:4]).requires_grad_()
    (gradient,) = torch.autograd.grad(pair.shadow(x)[:, 0].sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("bits", [4, 5, 6, 8])
def test_ptq_weights_take_as_many_values_as_the_bits_allow(bits):
    shadow = tiny_pair(Ptq(weight_bits=bits)).shadow
    layers = [m for m in shadow.modules() if hasattr(m, "weight_fake_quant")]
    assert layers
    for layer in layers:
        quantised = layer.weight_fake_quant(layer.weight)
        for channel in quantised:
            assert len(channel.unique()) <= 2**bits
        # symmetric: zero is exactly representable
        assert (layer.weight_fake_quant.zero_point == 0).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_runs_and_follows_the_shadow(engine):
    pair = tiny_pair(engine=engine)
    images = tiny_splits().test().images
    with torch.no_grad():
        shadow = pair.shadow(to_input(images)).argmax(1)
    deployed = pair.deployed.run(images)
    assert deployed.dtype == torch.float32
    assert (deployed.argmax(1) == shadow).float().mean() > 0.95
    assert pair.spec.engine == pair.deployed.engine == engine


def test_deployed_weights_are_int8():
    module = convert(tiny_pair().shadow, "x86")
    kinds = {v.dtype for v in module.state_dict().values() if isinstance(v, torch.Tensor)}
    assert torch.qint8 in kinds


def test_engine_is_put_back():
    before = torch.backends.quantized.engine
    other = next(engine for engine in ENGINES if engine != before)
    with quantized_engine(other):
        assert torch.backends.quantized.engine == other
    assert torch.backends.quantized.engine == before


@pytest.mark.parametrize("amount", [0.5, 0.75])
def test_pruning_holds_its_mask_through_fine_tuning(amount):
    original = tiny_original()
    config = Prune(amount=amount, epochs=2)
    shadow = make_shadow(config, original, tiny_splits(), device=CPU)
    pairs = zip(original.modules(), shadow.modules(), strict=True)
    convolutions = [(a, b) for a, b in pairs if isinstance(b, nn.Conv2d)]
    assert len(convolutions) == 2
    for before, after in convolutions:
        zeros = after.weight == 0
        assert int(zeros.sum()) == round(amount * zeros.numel())
        # L1-unstructured: what went is smaller than what stayed
        magnitude = before.weight.abs()
        assert magnitude[zeros].max() <= magnitude[~zeros].min()
        assert not torch.equal(before.weight[~zeros], after.weight[~zeros])  # it was tuned


def test_pruned_shadow_is_the_deployed_model():
    pair = tiny_pair(Prune(epochs=2))
    images = tiny_splits().seeds.images
    with torch.no_grad():
        assert torch.equal(pair.shadow(to_input(images)), pair.deployed.run(images))
    assert pair.spec.engine == "fp32"


def test_below_8_bits_the_deployed_model_says_that_it_is_simulated():
    assert tiny_pair(Ptq(weight_bits=5)).spec.engine == "simulated-w5"


def test_same_settings_same_shadow():
    again = make_shadow(Qat(), tiny_original(), tiny_splits(), device=CPU)
    assert state_hash(again.state_dict()) == state_hash(tiny_pair(Qat()).shadow.state_dict())


class Untraceable(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x.flatten(1)[:, :3]
        return -x.flatten(1)[:, :3]


def test_untraceable_model_names_its_line():
    with pytest.raises(CompdError, match=r"test_shadows\.py:\d+: if x\.sum\(\) > 0"):
        make_shadow(Ptq(), Untraceable(), tiny_splits(), device=CPU)


def test_convert_wants_a_shadow():
    with pytest.raises(CompdError, match="fake-quantised"):
        convert(copy.deepcopy(tiny_original()), "x86")


class DenseBlocks(nn.Module):
    """Concatenations of concatenations, and an average pool."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(3))
        self.linear = nn.Linear(15, 3)
        with torch.no_grad():  # so that the ranges differ from one concatenation to the next
            self.convs[1].weight.mul_(8)

    def forward(self, x):
        for conv in self.convs:
            x = torch.cat([torch.relu(conv(x)), x], 1)
        return self.linear(nn.functional.avg_pool2d(x, 16).flatten(1))


def test_concatenations_and_pools_round_as_the_int8_kernels_do():
    torch.manual_seed(0)
    shadow = make_shadow(Ptq(), DenseBlocks().eval(), tiny_splits(), device=CPU)
    images = tiny_splits().seeds.images
    with torch.no_grad():
        simulated = shadow(to_input(images))
    real = Int8Runtime(shadow, "x86").run(images)
    assert (simulated == real).float().mean() > 0.9  # to the bit, but for rare ties in rounding


def test_a_copy_has_the_names_that_it_is_saved_under():
    images = tiny_splits().calibration.images[:1]
    shadow = new_shadow(DenseBlocks().eval(), example=to_input(images))
    assert copy.deepcopy(shadow).state_dict().keys() == shadow.state_dict().keys()


class Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        y = torch.relu(self.conv(x)) + 1
        return self.linear(nn.functional.adaptive_avg_pool2d(y, 1).flatten(1))


def test_arithmetic_with_numbers_is_not_clamped():
    torch.manual_seed(0)
    model = Shifted().eval()
    shadow = make_shadow(Ptq(), model, tiny_splits(), device=CPU)
    images = tiny_splits().seeds.images
    with torch.no_grad():
        original, simulated = model(to_input(images)), shadow(to_input(images))
    real = Int8Runtime(shadow, "x86").run(images)
    assert (simulated - original).abs().max() < 0.03  # clamped, it was 0.07 and more
    assert (simulated - real).abs().max() < 0.03


class Unquantisable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=1)
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(torch.relu(self.up(x)).mean((2, 3)))


def test_what_cannot_be_quantised_is_told_in_one_line():
    shadow = make_shadow(Ptq(), Unquantisable().eval(), tiny_splits(), device=CPU)
    with pytest.raises(CompdError, match=r"zero output_padding.*another engine") as caught:
        Int8Runtime(shadow, "onednn")
    assert "\n" not in str(caught.value)


def test_pruning_needs_convolutions():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3)).eval()
    with pytest.raises(CompdError, match=r"nn\.Conv2d"):
        make_shadow(Prune(epochs=1), model, tiny_splits(), device=CPU)


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"lr": 0.0}, {"batch": 1}])
@pytest.mark.parametrize("kind", [Qat, Prune])
def test_senseless_fine_tuning_is_refused_at_once(kind, settings):
    with pytest.raises(CompdError, match="fine-tuning"):
        kind(**settings)
