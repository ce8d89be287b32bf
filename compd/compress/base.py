"""What a compression is: a configuration, and what is done with a network by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor, nn

from compd.data import Splits
from compd.errors import SettingError
from compd.sizes import Size
from compd.training import TrainConfig

__all__ = [
    "Family",
    "Tuning",
    "check_bits",
    "check_fine_tuning",
    "fine_tuning",
    "no_starts",
    "unfrozen_",
]

Module = TypeVar("Module", bound=nn.Module)


def _nothing(shadow: nn.Module) -> None:
    del shadow


@dataclass(frozen=True)
class Tuning:
    """How to train a shadow further; each part changes the shadow in place.

    The shadow is trained in eval mode: BatchNorm keeps its statistics (two batches of different
    images would pull them to and fro), and only its scale and shift are trained, where no
    convolution has taken them in.
    """

    prepare_: Callable[[nn.Module], None] = _nothing  # before the first step
    after_step_: Callable[[nn.Module], None] = _nothing
    finish_: Callable[[nn.Module], None] = _nothing  # then it can be deployed
    # Whether to go no further than needed: what a pruned network learns near the boundary it pays
    # for elsewhere, which rows that the original was trained on do not show.
    sparing: bool = False


def _free(config: Any, shadow: nn.Module, scales: bool) -> Tuning:
    return Tuning()


def no_starts(
    config: Any, shadow: nn.Module, original: nn.Module, images: Tensor
) -> Iterator[tuple[Any, nn.Module]]:
    """No other shadow to start a repair from."""
    yield from ()


def _never(config: Any) -> bool:
    return False


def _fp32(config: Any) -> str:
    return "fp32"


def _no_code(config: Any) -> str:
    return ""


@dataclass(frozen=True)
class Family:
    """A registered compression: all that the rest of compd asks of it.

    Adding one is one file and one line in :data:`compd.compress.COMPRESSIONS`; from another
    package, an entry point of the group ``compd.compressions`` or a call of :func:`compd.register`.
    """

    config: type[Any]  # a frozen dataclass with defaults
    # (config, original, splits, *, device, checkpoint, control) -> the shadow, on the device, in
    # eval mode; ``checkpoint`` is where work that was cut off leaves its state
    make: Callable[..., nn.Module]
    # (config, original, example) -> the module whose state_dict a saved shadow has, on the CPU
    empty: Callable[[Any, nn.Module, Tensor], nn.Module]
    uses: tuple[str, ...] = ()  # splits that making a shadow looks at
    # (config, shadow, scales) -> how it may be trained further without ceasing to be compressed
    tuning: Callable[[Any, nn.Module, bool], Tuning] = _free
    # (config, shadow, original, images) -> further shadows that a repair may start from
    starts: Callable[..., Iterator[tuple[Any, nn.Module]]] = no_starts
    int8: Callable[[Any], bool] = _never  # whether PyTorch's int8 kernels run what becomes of it
    engine: Callable[[Any], str] = (
        _fp32  # else: what the shadow is called, which is deployed itself
    )
    # (config, shadow, engine, device) -> a runtime of its own; None for one of the two above
    deploy: Callable[..., Any] | None = field(default=None)
    corresponds: bool = True  # whether each unit of the shadow is one of the original's
    # config -> the pkg.module:factory that building a shadow runs; empty for none
    code: Callable[[Any], str] = _no_code
    # (config, classes, channels, size) -> weights that a shadow has at least; None: as many as its
    # original, or more
    fewest_weights: Callable[[Any, int, int, Size], int] | None = field(default=None)


def unfrozen_(module: Module) -> Module:
    """Let all weights of a module be trained, in place: what compression costs is theirs to mend.

    Returns:
        The module.
    """
    for weight in module.parameters():
        weight.requires_grad_(weight.is_floating_point())
    return module


def check_bits(weights: int, activations: int, *, fewest: int) -> None:
    """Raise unless bits are those that int8 kernels, or their simulation, have.

    Raises:
        SettingError: then.
    """
    if not fewest <= weights <= 8:
        raise SettingError(f"weight_bits in {fewest}..8", weight_bits=weights)
    if activations not in (7, 8):
        raise SettingError("activation_bits to be 7 or 8", activation_bits=activations)


def check_fine_tuning(epochs: int, lr: float, batch: int) -> None:
    """Raise unless settings of fine-tuning make sense.

    Raises:
        SettingError: then.
    """
    if not 1 <= epochs <= 10_000 or not 0 < lr < 100 or not 2 <= batch <= 1 << 16:
        raise SettingError(
            f"1 to 10,000 epochs, 0 < lr < 100 and a batch of 2 to {1 << 16} of fine-tuning",
            epochs=epochs,
            lr=lr,
            batch=batch,
        )


def fine_tuning(config: Any, splits: Splits) -> TrainConfig:
    """The schedule of fine-tuning: of a configuration with epochs, batch, lr and seed."""
    return TrainConfig(
        epochs=config.epochs,
        batch=config.batch,
        lr=config.lr,
        warmup=0.1,
        seed=config.seed,
        weight_decay=1e-4,
        mirror=splits.dataset.mirror,
        pad=min(splits.dataset.size) // 16,
    )
