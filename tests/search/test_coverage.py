import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_original, tiny_pair, tiny_splits
from torch import nn

from compd.compress import Prune, Ptq, Qat
from compd.compress.fused import unfuse_relu
from compd.errors import CompdError
from compd.models import ZOO, build_zoo_model
from compd.models.inputs import to_input
from compd.search.coverage import draw_neurons, instrument, instrument_pair


@pytest.mark.parametrize("config", [Qat(), Ptq()], ids=str)
def test_unfused_shadow_computes_the_same_numbers(config):
    shadow = tiny_pair(config).shadow
    x = to_input(tiny_splits().seeds.images[:8])
    with torch.no_grad():
        assert torch.equal(unfuse_relu(shadow)(x), shadow(x))


def test_preactivations_are_the_inputs_of_the_activations():
    model = tiny_original()
    x = to_input(tiny_splits().seeds.images[:4])
    seen: list[torch.Tensor] = []
    hook = model.net.relu.register_forward_pre_hook(lambda m, args: seen.append(args[0].clone()))
    with torch.no_grad():
        expected = model(x)
        hook.remove()
        logits, before = instrument(model)(x)
    assert torch.equal(logits, expected)
    assert len(before) == len(seen) == 2
    for mine, theirs in zip(before, seen, strict=True):
        assert torch.equal(mine, theirs)  # the in-place ReLU has not overwritten them


@pytest.mark.parametrize("config", [Qat(), Ptq(), Prune(epochs=2)], ids=str)
def test_neurons_of_both_models_map_one_to_one(config):
    pair = tiny_pair(config)
    x = to_input(tiny_splits().seeds.images[:4])
    both = instrument_pair(pair)
    with torch.no_grad():
        (_, original), (_, shadow) = both[0](x), both[1](x)
    assert [t.shape for t in original] == [t.shape for t in shadow]
    for a, b in zip(original, shadow, strict=True):
        correlation = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
        assert correlation > 0.5


RELUS = {"vgg11": 8, "resnet18": 17, "densenet121": 120, "resnet20": 19}
RELUS |= {"lenet5": 4, "lenet1": 2, "nin": 8}


@pytest.mark.parametrize("name", ZOO)
def test_every_zoo_model_has_preactivations(name):
    model = build_zoo_model(name, classes=10, width=6 if name == "lenet5" else 4)
    _, before = instrument(model)(torch.rand(1, 3, 32, 32))
    assert len(before) == RELUS[name]


def test_a_model_without_activations_is_refused():
    with pytest.raises(CompdError, match="got none"):
        instrument(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))


def generators(count: int) -> list[np.random.Generator]:
    return [np.random.Generator(np.random.Philox(key=[i, 7])) for i in range(count)]


@given(data=st.data(), count=st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_drawn_neurons_are_active_in_the_original_only(data, count):
    numbers = st.integers(-2, 2).map(float)

    def layers():
        return [
            torch.tensor(data.draw(st.lists(numbers, min_size=count * n, max_size=count * n)))
            .view(count, n)
            .requires_grad_()
            for n in (3, 4)
        ]

    original, shadow = layers(), layers()
    value = draw_neurons(original, shadow, generators(count))
    gradients = torch.autograd.grad(value.sum(), shadow, allow_unused=True, materialize_grads=True)
    chosen = torch.cat(gradients, 1)  # (N, 7): one-hot where a neuron was drawn
    allowed = (torch.cat(original, 1) > 0) & (torch.cat(shadow, 1) <= 0)
    for i in range(count):
        if allowed[i].any():
            assert chosen[i].sum() == 1
            assert allowed[i][chosen[i].argmax()]
            assert value[i] == torch.cat(shadow, 1)[i][chosen[i].argmax()]
        else:
            assert not chosen[i].any()
            assert value[i] == 0


def test_draws_reach_every_allowed_neuron():
    original = [torch.ones(1, 2), torch.ones(1, 3)]
    shadow = [-torch.ones(1, 2), -torch.arange(1.0, 4.0)[None]]
    seen = set()
    for key in range(60):
        drawn = [s.clone().requires_grad_() for s in shadow]
        value = draw_neurons(original, drawn, [np.random.Generator(np.random.Philox(key=[key, 0]))])
        gradients = torch.autograd.grad(
            value.sum(), drawn, allow_unused=True, materialize_grads=True
        )
        seen.add(int(torch.cat(gradients, 1).argmax()))
    assert seen == set(range(5))


class ManyActivations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Hardswish(inplace=True)

    def forward(self, x):
        y = F.relu(x, inplace=True)
        y = self.act(y - 1)
        return torch.relu_(y.flatten(1) - 0.5)


def test_in_place_activations_are_kept_apart():
    x = torch.randn(2, 1, 2, 2)
    logits, before = instrument(ManyActivations())(x.clone())
    assert len(before) == 3
    assert torch.equal(before[0], x)
    assert torch.equal(logits, ManyActivations()(x.clone()))
