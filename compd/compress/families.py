"""All compressions by name, and what is asked of any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from compd.compress.base import Family, Tuning
from compd.compress.distil import DISTIL
from compd.compress.prune import PRUNE
from compd.compress.ptq import PTQ
from compd.compress.qat import QAT
from compd.control import QUIET, Control
from compd.data import Splits
from compd.errors import SettingError, unknown
from compd.registry import Registry, defaults_of

__all__ = [
    "COMPRESSIONS",
    "RECIPE",
    "Compression",
    "Given",
    "code_of",
    "config_from_json",
    "config_to_json",
    "empty_shadow",
    "kind_of",
    "make_shadow",
    "starts",
    "tuning_of",
    "units_correspond",
]

# Raised when the same configuration makes another shadow than before: caches hold none of the old.
RECIPE = 4

COMPRESSIONS: Registry[Family] = Registry(
    "compress",
    {"qat": QAT, "ptq": PTQ, "prune": PRUNE, "distil": DISTIL},
    kind=Family,
    group="compd.compressions",
)


# A configuration of a registered compression, or of what was given.
Compression: TypeAlias = Any


@dataclass(frozen=True)
class Given:
    """Compressed by somebody else: two models, and what the shadow of the deployed one is.

    ``shadow`` is ``own`` (a module that was given, too), ``converted`` (the deployed file as a
    differentiable graph), ``quantised`` (the original, quantised here), ``original`` (its gradient
    alone) or ``none``.
    """

    original: str = ""  # name of the model
    deployed: str = ""
    shadow: str = "none"


def kind_of(config: Any) -> str:
    """The name under which a configuration is registered; ``given`` of what compd did not make."""
    return "given" if isinstance(config, Given) else COMPRESSIONS.name_of(config)


def code_of(config: Any) -> str:
    """The ``pkg.module:factory`` that building a shadow runs; empty if that runs no such code."""
    return "" if isinstance(config, Given) else COMPRESSIONS.of(config).code(config)


def units_correspond(config: Any) -> bool:
    """Whether each unit of the shadow is one of the original's, so that coverage can be told."""
    return isinstance(config, Given) or COMPRESSIONS.of(config).corresponds


def config_to_json(config: Any) -> dict[str, Any]:
    """The configuration as a JSON object with its kind."""
    return {"kind": kind_of(config), **asdict(config)}


def config_from_json(data: Mapping[str, Any]) -> Any:
    """The inverse of :func:`config_to_json`.

    Raises:
        SettingError: if the kind is unknown or a field is missing, extra or of another type.
    """
    kind = str(data.get("kind"))
    if kind != "given" and kind not in COMPRESSIONS:
        raise unknown("compress", kind, [*COMPRESSIONS, "given"])
    config = Given if kind == "given" else COMPRESSIONS[kind].config
    wanted = defaults_of(config)
    values = {key: value for key, value in data.items() if key != "kind"}
    if values.keys() != wanted.keys() or not all(
        _is_like(values[key], default) for key, default in wanted.items()
    ):
        raise SettingError(
            f"expected {kind} settings {', '.join(wanted)}, got "
            f"{', '.join(f'{key}={value!r}' for key, value in values.items())}"
        )
    return config(**values)


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value from JSON can stand where a default does; a whole number is a float, too."""
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool | None)
    if default is None or value is None:
        return isinstance(value, str | int | float | None) and default is None
    kind = (int, float) if isinstance(default, float) else (type(default),)
    return isinstance(value, list if isinstance(default, tuple) else kind)


def make_shadow(
    config: Any,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    control: Control = QUIET,
) -> nn.Module:
    """Compress an original to its shadow.

    Args:
        config: what to do; of one of :data:`COMPRESSIONS`.
        original: float pixels in 0..1 to logits; not changed.
        splits: training rows train, calibration rows set ranges, selection rows are watched.
        device: where to fine-tune.
        checkpoint: where an interrupted fine-tuning leaves its state.
        control: told of progress.

    Returns:
        A differentiable module on ``device`` in eval mode.
    """
    make = COMPRESSIONS.of(config).make
    return make(config, original, splits, device=device, checkpoint=checkpoint, control=control)


def empty_shadow(config: Any, original: nn.Module, example: Tensor) -> nn.Module:
    """The module whose ``state_dict`` a saved shadow has, on the CPU, in eval mode.

    Args:
        config: what the shadow was made with.
        original: the original it was made from; not changed.
        example: float pixels (N, C, H, W) of the right shape.
    """
    return COMPRESSIONS.of(config).empty(config, original, example)


def tuning_of(config: Any, shadow: nn.Module, *, scales: bool = False) -> Tuning:
    """How a shadow may be trained further without ceasing to be what its compression made of it.

    Args:
        config: what the shadow was made with.
        shadow: the shadow that its compression made; its zeros are a pruned one's mask.
        scales: whether to learn the scales of activations, too, where its ranges allow it.
    """
    return COMPRESSIONS.of(config).tuning(config, shadow, scales)


def starts(
    config: Any, shadow: nn.Module, original: nn.Module, images: Tensor
) -> Iterator[tuple[Any, nn.Module]]:
    """Shadows that a repair may start from instead of the one given, with their configurations.

    Args:
        config: what the shadow was made with.
        shadow: with frozen ranges; not changed.
        original: the original it was made from; not changed.
        images: uint8 (N, C, H, W) to calibrate with.

    Yields:
        Pairs of a configuration and a shadow, on the CPU, in eval mode; none for pruned models.
    """
    return COMPRESSIONS.of(config).starts(config, shadow, original, images)
