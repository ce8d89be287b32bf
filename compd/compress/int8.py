"""The only module that touches ``torch.ao.quantization`` (deprecated there, so kept behind here).

A shadow is the FX graph of the original with BatchNorm folded into convolutions and with
fake-quantisation *in its forward pass*: 8-bit (or narrower) weights per output channel, symmetric;
activations per tensor, affine. The deployed model is the same graph converted to real int8 kernels.
"""

from __future__ import annotations

import copy
import operator
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.ao.quantization import QConfig, QConfigMapping
from torch.ao.quantization.fake_quantize import (
    FakeQuantize,
    disable_fake_quant,
    disable_observer,
    enable_fake_quant,
    enable_observer,
)
from torch.ao.quantization.observer import (
    HistogramObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
)
from torch.ao.quantization.quantize_fx import convert_fx, fuse_fx, prepare_qat_fx

from compd.errors import CompdError, unknown
from compd.models.factory import trace
from compd.models.inputs import to_input

__all__ = [
    "ENGINES",
    "activation_quantisers",
    "calibrate_",
    "convert",
    "freeze_ranges_",
    "new_shadow",
    "quantized_engine",
    "simulate_",
]

ENGINES = ("x86", "fbgemm", "onednn", "qnnpack")

_ENGINE_LOCK = threading.RLock()
_ARITHMETIC = (
    operator.add, operator.sub, operator.mul, operator.truediv,
    torch.add, torch.sub, torch.mul, torch.div,
)  # fmt: skip


@contextmanager
def quantized_engine(engine: str) -> Iterator[None]:
    """Select an int8 engine for the calls inside; PyTorch keeps it as one global.

    Raises:
        CompdError: if the name is unknown or this build of PyTorch lacks the engine.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine not in torch.backends.quantized.supported_engines:
        have = ", ".join(e for e in torch.backends.quantized.supported_engines if e in ENGINES)
        raise CompdError(
            f"expected an engine that this PyTorch has ({have}), got engine={engine!r}"
        )
    with _ENGINE_LOCK:
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = engine
        try:
            yield
        finally:
            torch.backends.quantized.engine = before


def new_shadow(
    original: nn.Module,
    *,
    example: Tensor,
    weight_bits: int = 8,
    activation_bits: int = 7,
    histogram: bool = False,
    name: str = "model",
) -> fx.GraphModule:
    """Return an uncalibrated fake-quantised copy of a float model.

    Args:
        original: the model; not changed.
        example: float pixels (N, C, H, W) of the right shape.
        weight_bits: 8 down to 4.
        activation_bits: 8, or 7 (PyTorch's ``reduce_range``), which no AVX2 kernel saturates at.
        histogram: choose activation ranges by histogram (PTQ) instead of moving minima and maxima.
        name: for error messages.

    Raises:
        CompdError: if the model cannot be traced.
    """
    top = 2**activation_bits - 1
    shared: dict[str, Any] = {"quant_min": 0, "quant_max": top, "dtype": torch.quint8}
    shared |= {"qscheme": torch.per_tensor_affine, "reduce_range": activation_bits < 8}
    half = 2 ** (weight_bits - 1)
    # Not the fused quantisers: those write to their scales in each forward pass, so that a shadow
    # would not be a pure function (torch 2.13).
    activation = _quantiser(
        observer=HistogramObserver if histogram else MovingAverageMinMaxObserver, **shared
    )
    weight = _quantiser(
        observer=MovingAveragePerChannelMinMaxObserver,
        quant_min=-half,
        quant_max=half - 1,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        averaging_constant=1.0,  # the range of the weights as they are, not as they were
    )
    mapping = QConfigMapping().set_global(
        QConfig(activation, weight)  # type: ignore[no-untyped-call]
    )
    traced = _unshare_(trace(copy.deepcopy(original).cpu().eval(), name))
    with _quiet(), _quantisable(name):
        folded = fuse_fx(traced)
        shadow = prepare_qat_fx(folded.train(), mapping, (example,))
    _own_ranges_after_scalars_(shadow)
    _share_ranges_(shadow)
    _widen_output_(shadow, 8)
    return shadow.eval()


def calibrate_(shadow: nn.Module, images: Tensor, *, batch: int = 64) -> None:
    """Set the ranges of all quantisers from images; fake-quantisation is on afterwards.

    Args:
        shadow: from :func:`new_shadow`; on any device.
        images: uint8 (N, C, H, W).
        batch: images a call.
    """
    device = next(shadow.parameters()).device
    shadow.eval()
    shadow.apply(enable_observer)
    shadow.apply(disable_fake_quant)
    with torch.no_grad(), _quiet():
        for i in range(0, len(images), batch):
            shadow(to_input(images[i : i + batch], device))
    shadow.apply(enable_fake_quant)


def activation_quantisers(shadow: nn.Module) -> list[nn.Module]:
    """The quantisers of activations whose range is a minimum and a maximum, each once."""
    return [
        module
        for module in shadow.modules()
        if isinstance(module, FakeQuantize)
        and isinstance(module.activation_post_process, MovingAverageMinMaxObserver)
    ]


def simulate_(shadow: nn.Module) -> None:
    """Turn fake-quantisation on and let ranges follow the data (training steps)."""
    shadow.apply(enable_fake_quant)
    shadow.apply(enable_observer)


def freeze_ranges_(shadow: nn.Module) -> None:
    """Hold all ranges where they are."""
    shadow.apply(disable_observer)
    for module in shadow.modules():
        if isinstance(module, FakeQuantize):
            # Calibration only observes: without this, scales would hold what the memory held.
            with _quiet():
                scale, zero_point = module.calculate_qparams()
            for buffer, value in ((module.scale, scale), (module.zero_point, zero_point)):
                buffer.resize_(value.shape).copy_(value)


def convert(shadow: nn.Module, engine: str) -> fx.GraphModule:
    """Convert a shadow with frozen ranges to real int8 kernels.

    Args:
        shadow: from :func:`new_shadow`, calibrated; not changed.
        engine: one of :data:`ENGINES`.

    Returns:
        A CPU module: float pixels in 0..1 to float logits, int8 in between.
    """
    if not isinstance(shadow, fx.GraphModule):
        raise CompdError(
            f"expected a fake-quantised shadow, got {type(shadow).__name__}; make one with "
            "compd.compress"
        )
    frozen = copy.deepcopy(shadow).cpu().eval()
    with quantized_engine(engine), _quiet(), _quantisable("model", engine):
        return convert_fx(frozen)


def _unshare_(traced: fx.GraphModule) -> fx.GraphModule:
    """Give each call of a module without parameters a module of its own, in place.

    One ``self.relu`` called in many places is usual; fused into the first convolution it would be
    missing at the other places (``fuse_fx`` of torch 2.13 then fails).
    """
    seen = set()
    for node in traced.graph.nodes:
        if node.op != "call_module":
            continue
        module = traced.get_submodule(str(node.target))
        if id(module) in seen and not module.state_dict():
            node.target = f"{str(node.target).replace('.', '_')}_{node.name}"
            traced.add_submodule(str(node.target), copy.deepcopy(module))
        seen.add(id(module))
    traced.recompile()
    return traced


def _quantiser(**settings: Any) -> Any:
    """A recipe for a quantiser; PyTorch makes one for each place in the graph."""
    return FakeQuantize.with_args(**settings)  # type: ignore[no-untyped-call]


def _own_ranges_after_scalars_(shadow: fx.GraphModule) -> None:
    """Give the result of arithmetic with a number a quantiser of its own, in place.

    ``prepare_qat_fx`` (torch 2.13) lets ``x + 3`` share the range of ``x`` and so clamps what the
    int8 kernel, which moves the range, does not.
    """
    modules = dict(shadow.named_modules(remove_duplicate=False))
    for node in list(shadow.graph.nodes):
        if node.target not in _ARITHMETIC or len(node.all_input_nodes) != 1:
            continue
        for user in list(node.users):
            module = modules.get(str(user.target)) if user.op == "call_module" else None
            if isinstance(module, FakeQuantize):
                user.target = f"{user.target}_own"
                shadow.add_submodule(str(user.target), copy.deepcopy(module))
    shadow.recompile()


def _share_ranges_(shadow: fx.GraphModule) -> None:
    """Give inputs and results of concatenations and average pools one quantiser, in place.

    Their int8 kernels compute in one scale. ``prepare_qat_fx`` (torch 2.13) loses that where
    concatenations follow each other, as in a DenseNet, and leaves it out for average pools: the
    shadow would then round where the deployed model does not.
    """
    modules = dict(shadow.named_modules(remove_duplicate=False))

    def quantiser(node: fx.Node) -> int | None:
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        return id(module) if isinstance(module, FakeQuantize) else None

    groups: list[set[int]] = []  # of quantisers: some stand at several nodes (pooling) already
    for node in shadow.graph.nodes:
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if node.target not in (torch.cat, F.avg_pool2d) and not isinstance(module, nn.AvgPool2d):
            continue
        around = (quantiser(n) for n in [*node.all_input_nodes, *node.users])
        group = {found for found in around if found is not None}
        for other in [g for g in groups if g & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    for group in groups:
        first, *rest = [node for node in shadow.graph.nodes if quantiser(node) in group]
        for node in rest:
            node.target = first.target
    shadow.recompile()


def _widen_output_(shadow: fx.GraphModule, bits: int) -> None:
    """Give the logits all 8 bits: no int8 kernel reads them, so nothing can saturate."""
    modules = dict(shadow.named_modules(remove_duplicate=False))
    places = [modules.get(str(node.target)) for node in shadow.graph.nodes]
    output = next(node for node in shadow.graph.nodes if node.op == "output")
    for node in output.all_input_nodes:
        module = modules.get(str(node.target))
        if isinstance(module, FakeQuantize) and sum(place is module for place in places) == 1:
            module.activation_post_process.quant_max = 2**bits - 1
            module.activation_post_process.reduce_range = False
            module.quant_max = 2**bits - 1


@contextmanager
def _quantisable(name: str, engine: str = "") -> Iterator[None]:
    """Tell in one line what PyTorch's quantiser cannot take."""
    try:
        yield
    except Exception as error:
        where = f" on engine={engine!r}" if engine else ""
        raise CompdError(
            f"expected a model that torch.ao.quantization can quantise{where}, got {name!r} with "
            f"{type(error).__name__}: {' '.join(str(error).split())[:160]}; try another engine, "
            "or replace that layer"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the deprecation and observer warnings of ``torch.ao``: compd knows of both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch\.ao\..*")
        warnings.filterwarnings("ignore", message=r"(?s).*torch\.ao\.quantization.*")
        warnings.filterwarnings("ignore", message=r"(?s).*must run observer.*")
        yield
