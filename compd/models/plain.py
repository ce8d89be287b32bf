"""A user's network as compd works with it: float32 layers on the CPU, and nothing around them.

Transfer learning and deployment leave modules in many states: compiled, in wrappers for several
GPUs, in 16 bits, with weights that are computed by a hook in front of each call, frozen. Here they
are put back to plain layers, as far as that keeps the answers, which is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from compd.errors import InputError, ModelError, brief
from compd.models.copies import copied
from compd.models.states import check_state
from compd.models.weights import WeightsFile, load_weights_

__all__ = ["Answers", "numbers_of", "plain", "unwrapped"]

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)
# Parts of the largest logit by which answers may move: rounding of float32, and of 16 bits.
_APART = {torch.float16: 0.02, torch.bfloat16: 0.1}
_ROUNDING = 1e-3


class Answers(nn.Module):
    """A network that answers with logits, whatever object its own answer is.

    Args:
        net: answers with logits (N, K), or with an object or a mapping that has them as ``logits``.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Float pixels (N, C, H, W) to logits (N, K)."""
        logits: Tensor = numbers_of(self.net(x))
        return logits


def numbers_of(answer: Any) -> Any:
    """The logits in an answer, which may be an object or a mapping that has them, as floats."""
    if isinstance(answer, Tensor):
        return answer.dequantize() if answer.is_quantized else answer
    if isinstance(answer, fx.Proxy):
        return answer
    if isinstance(answer, dict):
        return answer.get("logits", answer)
    return getattr(answer, "logits", answer)


def unwrapped(model: nn.Module) -> nn.Module:
    """What ``torch.compile``, ``DataParallel`` and the like were put around."""
    while True:
        inner = _inner(model)
        if inner is None:
            return model
        model = inner


def plain(
    model: nn.Module, example: Tensor, name: str, weights: WeightsFile | None = None
) -> nn.Module:
    """Return a network of plain float32 layers that answers as a user's module does.

    Args:
        model: any module; not changed.
        example: float pixels (N, C, H, W) in 0..1, by which answers are compared.
        name: for messages.
        weights: to load, under the module's own names or those of its plain layers.

    Returns:
        A module in eval mode on the CPU; one that does not run stays so, for whoever looks at
        its answers.

    Raises:
        ModelError: if it is in a state that compd cannot start from, or if nothing plain answers
            as it does.
        InputError: if the weights are those of another architecture.
    """
    model = unwrapped(model)
    check_state(model, name)
    came = _copied(model, name)
    _unwrap_parts_(came)
    came.eval()
    if weights is not None:
        came = _loaded(came, weights, name)
    dtype = next((t.dtype for t in came.parameters() if t.is_floating_point()), torch.float32)
    try:
        before = _answers(came, example, dtype)
        again = _answers(came, example, dtype)
    except Exception:
        return came
    if _apart(before, again) > _ROUNDING:
        raise ModelError(
            f"expected the same answers from model={name!r} when it is asked again, got others; "
            "switch off what draws random numbers, such as dropout that stays on in eval mode"
        )
    made = _copied(came, name)
    hooked = [place for place, part in made.named_modules() if _settle_(part)]
    _to_float32_(made)
    # A module's own forward, beside that of its class, is one that tracing does not see.
    whole = made.eval() is made and "forward" not in vars(made)
    if not whole or not isinstance(_asked(made, example), Tensor | None):
        made = Answers(made)
        made.eval()
    why = ""
    try:
        apart = _apart(before, _answers(made, example, torch.float32))
    except Exception as error:
        apart, why = float("inf"), f" ({type(error).__name__}: {brief(error)})"
    if not apart <= _APART.get(dtype, _ROUNDING):
        raise ModelError(_not_kept(name, hooked, dtype) + why)
    return made


def _not_kept(name: str, hooked: list[str], dtype: torch.dtype) -> str:
    if hooked:
        where = hooked[0] or "the model itself"
        return (
            f"expected hooks that only look on, got model={name!r} with one on {where!r} that "
            "changes its answers; do in forward what the hook does"
        )
    kind = str(dtype).removeprefix("torch.")
    return (
        f"expected a model that answers alike in float32, got model={name!r} in {kind} with other "
        "answers there; give it in float32"
    )


def _loaded(model: nn.Module, weights: WeightsFile, name: str) -> nn.Module:
    """A module with other weights; in plain layers where the weights are named as those."""
    try:
        load_weights_(model, weights)
        return model
    except InputError:
        made = _copied(model, name)
        for part in made.modules():
            _settle_(part)
        if made.state_dict().keys() == model.state_dict().keys():
            raise
        load_weights_(made, weights)
        return made


def _inner(module: nn.Module) -> nn.Module | None:
    """What a wrapper was put around; None if it is none."""
    if isinstance(module, torch._dynamo.OptimizedModule):
        return module._orig_mod
    wrappers = (
        nn.DataParallel,
        nn.parallel.DistributedDataParallel,
        torch.optim.swa_utils.AveragedModel,
    )
    return module.module if isinstance(module, wrappers) else None


def _unwrap_parts_(model: nn.Module) -> None:
    """Take compilation out of all parts of a module, in place."""
    for part in list(model.modules()):
        part._compiled_call_impl = None
        if isinstance(part, fx.GraphModule):  # torch.export forbids both by such attributes
            for key in ("train", "eval"):
                vars(part).pop(key, None)
        compiled = vars(part).get("forward")
        original: Callable[..., Any] | None = getattr(compiled, "_torchdynamo_orig_callable", None)
        if original is not None:
            del part.forward
            if getattr(original, "__func__", None) is not type(part).forward:
                part.forward = original
        for key, child in list(part._modules.items()):
            if child is not None and _inner(child) is not None:
                part._modules[key] = unwrapped(child)


def _copied(model: nn.Module, name: str) -> nn.Module:
    try:
        return copied(model)
    except Exception as error:  # of whatever the module holds
        raise ModelError(
            f"expected a model that can be copied, got model={name!r} with "
            f"{type(error).__name__}: {brief(error)}; make in forward what cannot be copied, or "
            "leave it out"
        ) from error


def _settle_(module: nn.Module) -> bool:
    """Make weights that are computed before each call constant, and take hooks off, in place.

    Returns:
        Whether there were hooks of unknown code.
    """
    if parametrize.is_parametrized(module):
        values = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]
        del module.parametrizations
        # Not by PyTorch's own function: it takes the weight out of a class that the copies share.
        module.__class__ = type(module).__bases__[0]
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value.clone()))
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]
    hooked = False
    for table in _HOOKS:
        hooked |= bool(getattr(module, table))
        getattr(module, table).clear()
    module._is_full_backward_hook = None
    if type(module).__module__.startswith("torch.nn.modules."):
        for name in ("weight", "bias"):
            value = getattr(module, name, None)
            if isinstance(value, Tensor) and name not in module._parameters:
                delattr(module, name)
                module.register_parameter(name, nn.Parameter(value.detach().clone()))
    return hooked


def _to_float32_(model: nn.Module) -> None:
    """Give a module dense float32 tensors of its own on the CPU, in place; shared ones stay so."""
    made: dict[int, Tensor] = {}

    def plain_of(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            own = tensor.detach().cpu()
            own = own if own.layout is torch.strided else own.to_dense()
            own = own.float() if own.is_floating_point() else own
            own = own.clone(memory_format=torch.contiguous_format)
            if isinstance(tensor, nn.Parameter):
                own = nn.Parameter(own, requires_grad=tensor.requires_grad)
            made[id(tensor)] = own
        return made[id(tensor)]

    with torch.inference_mode(False), torch.no_grad():
        for module in model.modules():
            tables: tuple[dict[str, Any], ...] = (
                module._parameters,
                module._buffers,
                vars(module),
            )
            for table in tables:
                for key, value in list(table.items()):
                    if isinstance(value, Tensor):
                        table[key] = plain_of(value)


def _asked(model: nn.Module, example: Tensor) -> Any:
    try:
        with torch.no_grad():
            return model(example)
    except Exception:  # told where answers are compared
        return None


def _answers(model: nn.Module, example: Tensor, dtype: torch.dtype) -> Tensor:
    """float32 logits, of images in the module's own type, or else in float32."""
    device = next((t.device for t in model.parameters()), torch.device("cpu"))
    with torch.no_grad():
        try:
            answer = numbers_of(model(example.to(device, dtype)))
        except Exception:
            if dtype is torch.float32:
                raise
            answer = numbers_of(model(example.to(device)))
    if not isinstance(answer, Tensor):
        raise TypeError(f"answers with {type(answer).__name__}")
    return answer.float().cpu()


def _apart(one: Tensor, other: Tensor) -> float:
    """The largest difference in parts of the largest number; NaN where there is one already."""
    if one.shape != other.shape:
        return float("inf")
    if not bool(torch.isfinite(one).all()):
        return 0.0
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-12))
