"""Compression by configuration: each kind is a frozen dataclass without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from compd.errors import SettingError, unknown

__all__ = [
    "COMPRESSIONS",
    "Compression",
    "Given",
    "Prune",
    "Ptq",
    "Qat",
    "config_from_json",
    "config_to_json",
]


@dataclass(frozen=True)
class Qat:
    """Quantisation-aware training: int8 weights and activations, BatchNorm folded and frozen."""

    uses: ClassVar[tuple[str, ...]] = ("train", "calibration", "selection")  # splits

    epochs: int = 1
    lr: float = 1e-4
    batch: int = 64
    weight_bits: int = 8
    activation_bits: int = 7  # PyTorch's default for x86: no AVX2 kernel saturates
    seed: int = 0

    def __post_init__(self) -> None:
        _check_bits(self.weight_bits, self.activation_bits, fewest=7)
        _check_fine_tuning(self.epochs, self.lr, self.batch)


@dataclass(frozen=True)
class Ptq:
    """Post-training quantisation: per-channel symmetric weights, histogram activation ranges."""

    uses: ClassVar[tuple[str, ...]] = ("calibration",)

    weight_bits: int = 8
    activation_bits: int = 7

    def __post_init__(self) -> None:
        _check_bits(self.weight_bits, self.activation_bits, fewest=4)


@dataclass(frozen=True)
class Prune:
    """L1-unstructured pruning of each convolution, then fine-tuning with the mask held."""

    uses: ClassVar[tuple[str, ...]] = ("train", "selection")

    amount: float = 0.75
    epochs: int = 10
    lr: float = 0.05
    batch: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.amount < 1:
            raise SettingError("0 < amount < 1", amount=self.amount)
        _check_fine_tuning(self.epochs, self.lr, self.batch)


@dataclass(frozen=True)
class Given:
    """Compressed by somebody else's toolchain: two files, and what stands in for the deployed one.

    ``shadow`` is ``converted`` (the deployed file as a differentiable graph), ``quantised`` (the
    original, quantised here), ``original`` (its gradient alone) or ``none``.
    """

    uses: ClassVar[tuple[str, ...]] = ()

    original: str = ""  # name of the file
    deployed: str = ""
    shadow: str = "none"


def _check_bits(weights: int, activations: int, *, fewest: int) -> None:
    if not fewest <= weights <= 8:
        raise SettingError(f"weight_bits in {fewest}..8", weight_bits=weights)
    if activations not in (7, 8):
        raise SettingError("activation_bits to be 7 or 8", activation_bits=activations)


def _check_fine_tuning(epochs: int, lr: float, batch: int) -> None:
    if not 1 <= epochs <= 10_000 or not 0 < lr < 100 or not 2 <= batch <= 1 << 16:
        raise SettingError(
            f"1 to 10,000 epochs, 0 < lr < 100 and a batch of 2 to {1 << 16} of fine-tuning",
            epochs=epochs,
            lr=lr,
            batch=batch,
        )


Compression = Qat | Ptq | Prune | Given

# What compd can do itself.
COMPRESSIONS: Mapping[str, type[Compression]] = {"qat": Qat, "ptq": Ptq, "prune": Prune}
_KINDS: Mapping[str, type[Compression]] = {**COMPRESSIONS, "given": Given}


def kind_of(config: Compression) -> str:
    """The name under which a configuration is registered."""
    return next(name for name, kind in _KINDS.items() if isinstance(config, kind))


def config_to_json(config: Compression) -> dict[str, Any]:
    """The configuration as a JSON object with its kind."""
    return {"kind": kind_of(config), **asdict(config)}


def config_from_json(data: Mapping[str, Any]) -> Compression:
    """The inverse of :func:`config_to_json`.

    Raises:
        CompdError: if the kind is unknown or a field is missing, extra or of another type.
    """
    kind = str(data.get("kind"))
    if kind not in _KINDS:
        raise unknown("compress", kind, _KINDS)
    wanted = {f.name: type(f.default) for f in fields(_KINDS[kind])}
    values = {key: value for key, value in data.items() if key != "kind"}
    if values.keys() != wanted.keys() or any(
        isinstance(values[key], bool) or not isinstance(values[key], (wanted[key], int))
        for key in wanted
    ):
        raise SettingError(
            f"expected {kind} settings {', '.join(wanted)}, got "
            f"{', '.join(f'{key}={value!r}' for key, value in values.items())}"
        )
    return _KINDS[kind](**values)
