"""Networks in the states that transfer learning and deployment leave them in."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import TinyNet
from torch import Tensor, nn
from torch.ao.quantization import (
    QuantStub,
    convert,
    get_default_qconfig,
    get_default_qconfig_mapping,
    prepare,
    quantize_dynamic,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from torch.nn.utils import fuse_conv_bn_eval, parametrizations, prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm

Make = Callable[[nn.Module], nn.Module]
EXAMPLE = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def net() -> TinyNet:
    """Weights and statistics that are no defaults."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = TinyNet()
        with torch.no_grad():
            for part in made.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.running_mean.uniform_(-0.5, 0.5)
                    part.running_var.uniform_(0.5, 2)
                    part.weight.uniform_(0.5, 2)
                    part.bias.uniform_(-0.5, 0.5)
    return made.eval()


def then(do: Callable[[Any], object]) -> Make:
    """The module after something was done to it."""

    def made(model: nn.Module) -> nn.Module:
        do(model)
        return model

    return made


def called(model: nn.Module) -> nn.Module:
    """After a call with gradients, which leave weights that were computed."""
    model(EXAMPLE)
    return model


def frozen_norm(model: Any) -> nn.Module:
    class Frozen(TinyNet):
        def train(self, mode: bool = True) -> None:  # type: ignore[override]
            super().train(mode)
            self.bn1.eval()

    model.__class__ = Frozen
    model.train()
    return model  # type: ignore[no-any-return]


def fused(model: Any) -> nn.Module:
    for i in ("1", "2"):
        conv = fuse_conv_bn_eval(getattr(model, f"conv{i}"), getattr(model, f"bn{i}"))
        setattr(model, f"conv{i}", conv)
        setattr(model, f"bn{i}", nn.Identity())
    return model  # type: ignore[no-any-return]


def eagerly_fused(model: Any) -> nn.Module:
    return torch.ao.quantization.fuse_modules(model, [["conv1", "bn1", "relu"], ["conv2", "bn2"]])  # type: ignore[no-any-return]


def in_inference_mode(model: nn.Module) -> nn.Module:
    with torch.inference_mode():
        return copy.deepcopy(model)


def as_buffers(model: Any) -> nn.Module:
    for part in (model.conv1, model.bn1, model.linear):
        for name, value in list(part._parameters.items()):
            if value is not None:
                del part._parameters[name]
                part.register_buffer(name, value.detach())
    return model  # type: ignore[no-any-return]


def as_attributes(model: Any) -> nn.Module:
    weight = model.conv2.weight.detach()
    del model.conv2._parameters["weight"]
    model.conv2.weight = weight
    return model  # type: ignore[no-any-return]


def lazy(model: Any) -> nn.Module:
    weights = model.linear.state_dict()
    model.linear = nn.LazyLinear(3)
    model(EXAMPLE)
    model.linear.load_state_dict(weights)
    return model  # type: ignore[no-any-return]


def shared(model: Any) -> nn.Module:
    model.conv3 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    model.conv3.weight = model.conv2.weight
    model.conv2 = nn.Sequential(model.conv2, nn.ReLU(), model.conv3)
    return model  # type: ignore[no-any-return]


def shared_layer(model: Any) -> nn.Module:
    model.conv2 = nn.Sequential(model.conv2, nn.ReLU(), model.conv2)
    return model  # type: ignore[no-any-return]


def transposed(model: Any) -> nn.Module:
    model.linear.weight = nn.Parameter(model.linear.weight.detach().t().contiguous().t())
    weight = model.conv2.weight.detach()
    model.conv2.weight = nn.Parameter(weight.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0))
    return model  # type: ignore[no-any-return]


def sparse(model: Any) -> nn.Module:
    model.linear.weight = nn.Parameter(model.linear.weight.detach().to_sparse_csr())
    return model  # type: ignore[no-any-return]


def compiled_forward(model: nn.Module) -> nn.Module:
    model.forward = torch.compile(model.forward)  # type: ignore[method-assign]
    return model


def compiled_part(model: Any) -> nn.Module:
    model.conv2 = torch.compile(model.conv2)
    return model  # type: ignore[no-any-return]


def own_forward(model: nn.Module) -> nn.Module:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.linear(self.relu(self.conv1(x)).mean((2, 3)))  # type: ignore[no-any-return]

    model.forward = types.MethodType(forward, model)  # type: ignore[method-assign]
    return model


def without_gradients(model: Any) -> nn.Module:
    class Deployed(TinyNet):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    model.__class__ = Deployed
    return model  # type: ignore[no-any-return]


def standardised(model: Any) -> nn.Module:
    """Convolutions that standardise their weights in each call."""

    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    model.conv2.__class__ = Standardised
    return model  # type: ignore[no-any-return]


class Mapping(nn.Module):
    """Answers as many networks of others do."""

    def __init__(self, inner: nn.Module, kind: type) -> None:
        super().__init__()
        self.inner, self.kind = inner, kind

    def forward(self, x: Tensor) -> Any:
        return self.kind(logits=self.inner(x), features=x)


def exported(model: nn.Module) -> nn.Module:
    batch = torch.export.Dim.DYNAMIC
    return torch.export.export(model, (EXAMPLE,), dynamic_shapes=({0: batch},)).module()


def observe(module: nn.Module, *args: Any) -> None:
    module.seen = args  # type: ignore[assignment]


GOOD: dict[str, Make] = {
    "as it is": then(lambda m: None),
    "in train mode": then(lambda m: m.train()),
    "frozen": then(lambda m: m.requires_grad_(False)),
    "frozen norm": frozen_norm,
    "norm without weights": then(lambda m: setattr(m, "bn1", nn.BatchNorm2d(8, affine=False))),
    "in inference mode": in_inference_mode,
    "half": then(lambda m: m.half()),
    "bfloat16": then(lambda m: m.bfloat16()),
    "double": then(lambda m: m.double()),
    "channels last": then(lambda m: m.to(memory_format=torch.channels_last)),
    "old weight norm": then(lambda m: called(old_weight_norm(m.conv1) and m)),
    "weight norm": then(lambda m: called(parametrizations.weight_norm(m.conv1) and m)),
    "old spectral norm": then(lambda m: called(old_spectral_norm(m.conv2) and m)),
    "spectral norm": then(lambda m: called(parametrizations.spectral_norm(m.linear) and m)),
    "orthogonal": then(lambda m: parametrizations.orthogonal(m.linear)),
    "pruned": then(lambda m: called(prune.l1_unstructured(m.conv2, "weight", 0.5) and m)),
    "pruned twice": then(
        lambda m: prune.ln_structured(
            prune.l1_unstructured(m.conv2, "weight", 0.5), "weight", 0.25, n=2, dim=0
        )
    ),
    "pruned everywhere": then(
        lambda m: prune.global_unstructured(
            [(m.conv1, "weight"), (m.linear, "weight")],
            pruning_method=prune.L1Unstructured,
            amount=0.3,
        )
    ),
    "hooks": then(lambda m: (m.conv1.register_forward_hook(observe), called(m))),
    "hooks of gradients": then(lambda m: m.conv2.register_full_backward_hook(lambda *a: None)),
    "hooks before": then(lambda m: m.register_forward_pre_hook(observe)),
    "compiled": torch.compile,  # type: ignore[dict-item]
    "compiled in place": then(lambda m: m.compile()),
    "compiled forward": compiled_forward,
    "compiled part": compiled_part,
    "forward of its own": own_forward,
    "DataParallel": nn.DataParallel,
    "DataParallel, compiled": lambda m: torch.compile(nn.DataParallel(m)),  # type: ignore[dict-item,return-value]
    "averaged": torch.optim.swa_utils.AveragedModel,
    "fused": fused,
    "fused for eager mode": eagerly_fused,
    "buffers": as_buffers,
    "attributes": as_attributes,
    "lazy, called": lazy,
    "shared weights": shared,
    "shared layer": shared_layer,
    "strides": transposed,
    "sparse weights": sparse,
    "no gradients": without_gradients,
    "standardised": standardised,
    "namespace": lambda m: Mapping(m, types.SimpleNamespace),
    "mapping": lambda m: Mapping(m, dict),
    "stubs": lambda m: nn.Sequential(QuantStub(), m),
    "exported": exported,
}


class Functions(nn.Module):
    """A convolution that is a function: quantised, it leaves operators and no layers."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(layers.conv1.weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, None, (1, 1), (1, 1), (1, 1), 1).mean((2, 3))[:, :3]


def by_fx(model: nn.Module) -> nn.Module:
    prepared = prepare_fx(model, get_default_qconfig_mapping("x86"), (EXAMPLE,))
    prepared(EXAMPLE)
    return convert_fx(prepared)


def eagerly(model: nn.Module) -> nn.Module:
    made = nn.Sequential(QuantStub(), nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Linear(768, 3)).eval()
    made.qconfig = get_default_qconfig("x86")  # type: ignore[assignment]
    prepare(made, inplace=True)
    made(EXAMPLE)
    return convert(made)  # type: ignore[no-any-return]


def by_torchao(model: nn.Module) -> nn.Module:
    pytest.importorskip("torchao", reason="needs the extra compd[torchao]")
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig())
    return model


def by_pt2e(model: nn.Module) -> nn.Module:
    pytest.importorskip("torchao", reason="needs the extra compd[torchao]")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    chosen = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Linear(768, 3)).eval()
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    graph = torch.export.export(layers, (EXAMPLE,), dynamic_shapes=shapes, strict=True).module()
    prepared = prepare_pt2e(graph, chosen)
    prepared(EXAMPLE)
    return convert_pt2e(prepared)  # type: ignore[no-any-return]


def integers(model: Any) -> nn.Module:
    """Weights of 8 bits that a layer of its own spreads out."""

    class Spread(nn.Module):
        def __init__(self, layer: nn.Linear) -> None:
            super().__init__()
            self.register_buffer("weight", (layer.weight.detach() * 50).round().to(torch.int8))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight.float() / 50)  # type: ignore[operator]

    model.linear = Spread(model.linear)
    return model  # type: ignore[no-any-return]


QUANTISED: dict[str, Make] = {
    "fx": by_fx,
    "eager": eagerly,
    "dynamic": lambda m: quantize_dynamic(m, {nn.Linear}),
    "fx, functions": lambda m: by_fx(Functions(m)),
    "in DataParallel": lambda m: nn.DataParallel(by_fx(m)),
    "scripted int8": lambda m: torch.jit.trace(by_fx(m), EXAMPLE, check_trace=False),
    "torchao": by_torchao,
    "pt2e": by_pt2e,
    "integers": integers,
}
