"""Modules in any state that others leave them in: the same answers by plain layers, or one line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import TinyNet
from tiny_states import EXAMPLE, GOOD, QUANTISED, Make, net, then
from torch import Tensor, nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import prepare_fx

from compd.compress.int8 import calibrated, new_shadow
from compd.models.factory import traceable
from compd.models.plain import plain
from compd.models.states import check_state
from compd.runtimes import Int8Runtime

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.ao.quantization.*"),
]


def direct(model: nn.Module) -> Tensor:
    """What it answers when it is called as it is."""
    copied = model
    if hasattr(copied, "_orig_mod"):  # compiling takes a minute, and changes no answer
        copied = copied._orig_mod
    dtype = next((p.dtype for p in copied.parameters()), torch.float32)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        answer = copied(EXAMPLE.to(dtype))
    if isinstance(answer, dict):
        return answer["logits"]  # type: ignore[no-any-return]
    return getattr(answer, "logits", answer)  # type: ignore[no-any-return]


@pytest.mark.parametrize("state", GOOD)
def test_a_module_in_any_state_answers_as_it_did_and_becomes_int8(state: str) -> None:
    came = GOOD[state](net())
    made = traceable(plain(came, EXAMPLE[:2], "net"), EXAMPLE[:2], "net")
    with torch.no_grad():
        answers = made(EXAMPLE)
    try:
        came.eval()
    except NotImplementedError:
        assert state == "exported"
    expected = direct(came).float()
    rough = {"half": 2e-3, "bfloat16": 3e-2}.get(state, 1e-5)
    torch.testing.assert_close(answers, expected, atol=rough * float(expected.abs().max()), rtol=0)
    images = (EXAMPLE * 255).round().to(torch.uint8)
    int8 = Int8Runtime(calibrated(new_shadow(made, example=EXAMPLE[:1]), images), "x86")
    apart = (int8.run(images) - expected).abs().max() / expected.abs().max()
    assert 0 < apart < 0.1
    kernels = [type(m).__name__ for m in int8._module.modules() if "quantized" in repr(type(m))]
    assert len(kernels) >= 3  # and not floats between roundings
    x = EXAMPLE.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(made(x).square().sum(), x)
    assert gradient.isfinite().all()
    assert gradient.any()


def prepared(model: nn.Module) -> nn.Module:
    return prepare_fx(model, get_default_qconfig_mapping("x86"), (EXAMPLE,))


def drops(model: nn.Module) -> nn.Module:
    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, training=True)

    return nn.Sequential(model, Drops())


def casts(model: nn.Module) -> nn.Module:
    class Half(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.half())

    model.__class__ = Half
    return model.half()


def detached(model: nn.Module) -> nn.Module:
    class Detached(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).detach()

    model.__class__ = Detached
    return model


def remembers(model: nn.Module) -> nn.Module:
    """A model whose answer depends on what it was asked before."""

    class Remembers(TinyNet):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(x) + self.calls

    model.__class__ = Remembers
    return model


def on_meta(model: Any) -> nn.Module:
    model.linear.to("meta")
    return model  # type: ignore[no-any-return]


BAD: dict[str, tuple[Make, tuple[str, ...]]] = {
    **{
        state: (make, ("quantised already", "give the float model as --model", "--deployed"))
        for state, make in QUANTISED.items()
    },
    "prepared": (prepared, ("is prepared for quantisation", "as it was before")),
    "scripted": (torch.jit.script, ("TorchScript", "scripted or traced from", "--deployed")),
    "traced": (lambda m: torch.jit.trace(m, EXAMPLE), ("TorchScript", "traced from")),
    "scripted part": (
        then(lambda m: setattr(m, "conv2", torch.jit.script(m.conv2))),
        ("whose 'conv2' is TorchScript",),
    ),
    "meta": (then(lambda m: m.to("meta")), ("'conv1.weight' on the meta device", "to_empty")),
    "part on meta": (on_meta, ("'linear.weight' on the meta device",)),
    "lazy": (
        then(lambda m: setattr(m, "linear", nn.LazyLinear(3))),
        ("'linear.weight' is lazy", "call the model on an image"),
    ),
    "hook that changes": (
        then(lambda m: m.conv1.register_forward_hook(lambda *a: a[2] * 2)),
        ("hooks that only look on", "'conv1'", "do in forward"),
    ),
    "hook on all that changes": (
        then(lambda m: m.register_forward_hook(lambda *a: -a[2])),
        ("the model itself",),
    ),
    "dropout that stays on": (drops, ("asked again", "dropout")),
    "casts by itself": (casts, ("alike in float32", "float16")),
    "no gradients": (detached, ("gradients", "detach")),
    "remembers": (remembers, ("asked again",)),
    "cannot be copied": (
        then(lambda m: setattr(m, "lock", threading.Lock())),
        ("can be copied", "lock"),
    ),
}


@pytest.mark.parametrize("state", BAD)
def test_what_cannot_be_made_plain_is_told_in_one_line(state: str, refuses: Any) -> None:
    make, culprits = BAD[state]
    came = make(net())
    with refuses("'facs:net'", *culprits):
        traceable(plain(came, EXAMPLE[:2], "facs:net"), EXAMPLE[:2], "facs:net")


@pytest.mark.parametrize("state", ["weight norm", "old spectral norm", "pruned", "hooks", "half"])
def test_what_came_is_not_changed(state: str) -> None:
    came = GOOD[state](net()).eval()
    before = direct(came)
    names = list(came.state_dict())
    plain(came, EXAMPLE[:2], "net")
    assert torch.equal(direct(came), before)
    assert list(came.state_dict()) == names


def test_a_mask_is_not_taken_for_quantised_weights() -> None:
    model = net()
    model.register_buffer("mask", torch.ones(2, 2, dtype=torch.uint8))
    check_state(model, "net")


@pytest.fixture(autouse=True)
def same_engine() -> Iterator[None]:
    before = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine = before
