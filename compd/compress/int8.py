"""With ``graph`` and ``explicit`` all that touches ``torch.ao.quantization`` (deprecated there).

A shadow is the FX graph of the original with BatchNorm folded into convolutions and with
fake-quantisation *in its forward pass*: 8-bit (or narrower) weights per output channel, symmetric;
activations per tensor, affine. The deployed model is the same graph converted to real int8 kernels.
"""

from __future__ import annotations

import copy
import itertools
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
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
from torch.fx import config as fx_config

from compd.compress.base import unfrozen_
from compd.compress.fake_layers import fake_layers_, map_layers, real_layers_
from compd.compress.graph import (
    drop_unused_,
    own_ranges_after_scalars_,
    share_ranges_,
    unshare_,
    widen_output_,
)
from compd.compress.neighbours import NeighbourObserver
from compd.compress.pixels import exact_input_, take_images_
from compd.compress.quantiser import Quantiser, WeightQuantiser, recipe, set_grid_
from compd.errors import ModelError, brief, unknown
from compd.models.census import counted
from compd.models.factory import trace
from compd.models.inputs import to_input
from compd.models.layers import make_layers_
from compd.models.operators import operators_of

__all__ = [
    "ENGINES",
    "activation_quantisers",
    "calibrate_",
    "calibrated",
    "convert",
    "freeze_ranges_",
    "new_shadow",
    "quantized_engine",
    "simulate_",
]

ENGINES = ("x86", "fbgemm", "onednn", "qnnpack")

_ENGINE_LOCK = threading.RLock()


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
        raise ModelError(
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
        activation_bits: 8, or 7 (as PyTorch's ``reduce_range``), which no AVX2 kernel saturates at.
        histogram: choose activation ranges by histogram (PTQ) instead of moving minima and maxima.
        name: for error messages.

    Raises:
        CompdError: if the model cannot be traced.
    """
    # No reduce_range: with a range that is given, it would be halved once more (torch 2.13).
    shared: dict[str, Any] = {"quant_min": 0, "quant_max": 2**activation_bits - 1}
    shared |= {"dtype": torch.quint8, "qscheme": torch.per_tensor_affine}
    half = 2 ** (weight_bits - 1)
    # Not the fused quantisers: those write to their scales in each forward pass, so that a shadow
    # would not be a pure function (torch 2.13).
    observer = HistogramObserver if histogram else MovingAverageMinMaxObserver
    activation = recipe(Quantiser, observer=observer, **shared)
    grid: dict[str, Any] = {"quant_min": -half, "quant_max": half - 1, "dtype": torch.qint8}
    grid |= {"qscheme": torch.per_channel_symmetric}
    if (weight_bits, activation_bits) == (8, 8):
        weight = recipe(WeightQuantiser, observer=NeighbourObserver, **grid)
    else:
        weight = recipe(
            WeightQuantiser,
            observer=MovingAveragePerChannelMinMaxObserver,
            averaging_constant=1.0,  # the range of the weights as they are, not as they were
            **grid,
        )
    mapping = QConfigMapping().set_global(
        QConfig(activation, weight)  # type: ignore[no-untyped-call]
    )
    map_layers(mapping, activation, weight_bits=weight_bits, activation_bits=activation_bits)
    # In one memory format: sums over weights, such as those of folding, come out the same.
    plain = copy.deepcopy(original).eval()
    plain.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    traced = unshare_(make_layers_(trace(plain, name)))
    with _quiet(), _quantisable(name), _without_stack_traces():
        if activation_bits == 8:
            take_images_(traced)
        folded = fuse_fx(traced)
        shadow = prepare_qat_fx(folded.train(), mapping, (example,))
    fake_layers_(shadow)
    own_ranges_after_scalars_(shadow)
    share_ranges_(shadow)
    widen_output_(shadow, 8)
    exact_input_(shadow)
    drop_unused_(shadow)
    return unfrozen_(shadow).eval()


def calibrate_(shadow: nn.Module, images: Tensor, *, batch: int = 64) -> None:
    """Set the ranges of all quantisers from images; fake-quantisation is on afterwards.

    Args:
        shadow: from :func:`new_shadow`; on any device.
        images: uint8 (N, C, H, W).
        batch: images a call.
    """
    device = next(itertools.chain(shadow.parameters(), shadow.buffers())).device
    shadow.eval()
    shadow.apply(enable_observer)
    shadow.apply(disable_fake_quant)
    with torch.no_grad(), _quiet():
        for i in range(0, len(images), batch):
            shadow(to_input(images[i : i + batch], device))
    shadow.apply(enable_fake_quant)


def calibrated(shadow: nn.Module, images: Tensor) -> nn.Module:
    """A new shadow with its ranges set from images and frozen, in eval mode; not trained.

    Args:
        shadow: from :func:`new_shadow`; changed, and returned.
        images: uint8 (N, C, H, W).
    """
    calibrate_(shadow, images)
    freeze_ranges_(shadow)
    return shadow.eval()


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
                set_grid_(module)


def convert(shadow: nn.Module, engine: str) -> fx.GraphModule:
    """Convert a shadow with frozen ranges to real int8 kernels.

    Args:
        shadow: from :func:`new_shadow`, calibrated; not changed.
        engine: one of :data:`ENGINES`.

    Returns:
        A CPU module: float pixels in 0..1 to float logits, int8 in between.
    """
    if not isinstance(shadow, fx.GraphModule):
        raise ModelError(
            f"expected a fake-quantised shadow, got {type(shadow).__name__}; make one with "
            "compd.compress"
        )
    frozen = copy.deepcopy(shadow).cpu().eval()
    real_layers_(frozen)
    with quantized_engine(engine), _quiet(), _quantisable("model", engine):
        made = convert_fx(frozen)
    if "int8" not in counted(operators_of(made)):
        raise ModelError(
            "expected layers with int8 kernels (convolutions, linear layers), got a model in which "
            "all stays in float32; call such layers as nn modules or nn.functional"
        )
    return made


@contextmanager
def _quantisable(name: str, engine: str = "") -> Iterator[None]:
    """Tell in one line what PyTorch's quantiser cannot take."""
    try:
        yield
    except Exception as error:
        where = f" on engine={engine!r}" if engine else ""
        raise ModelError(
            f"expected a model that torch.ao.quantization can quantise{where}, got {name!r} with "
            f"{type(error).__name__}: {brief(error)}; try another engine, "
            "or replace that layer"
        ) from error


@contextmanager
def _without_stack_traces() -> Iterator[None]:
    """Keep FX from noting where nodes come from: the first note takes a second of imports."""
    config: Any = fx_config
    before = getattr(config, "do_not_emit_stack_traces", False)  # without it (torch 2.11), no gain
    config.do_not_emit_stack_traces = True
    try:
        yield
    finally:
        config.do_not_emit_stack_traces = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the deprecation and observer warnings of ``torch.ao``: compd knows of both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch\.ao\..*")
        warnings.filterwarnings("ignore", message=r"(?s).*torch\.ao\.quantization.*")
        warnings.filterwarnings("ignore", message=r"(?s).*must run observer.*")
        yield
