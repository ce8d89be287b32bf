"""A pair of two models that are objects of this process: modules, sessions, functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from compd.compress import Given
from compd.errors import InputError, ModelError, SettingError, brief, unknown
from compd.models import Normalise
from compd.models.copies import copied
from compd.models.inputs import checked_batch
from compd.pair.arrays import Batch, arranged, as_tensor
from compd.pair.calls import numbers_from
from compd.pair.objects import (
    CallableRuntime,
    Logits,
    ModuleRuntime,
    device_of,
    name_of,
)
from compd.pair.spec import ModelSpec, PairSpec
from compd.runtimes import FloatRuntime, Runtime
from compd.runtimes.batching import probe_images
from compd.runtimes.outputs import OUTPUTS
from compd.sizes import Size
from compd.wording import setting

__all__ = ["Model", "Parts", "parts_of_modules"]


Model: TypeAlias = nn.Module | Callable[[Tensor], Any]


@dataclass(frozen=True)
class Parts:
    """What a pair of objects is made of."""

    spec: PairSpec
    original: nn.Module | None  # None: it can only be run
    shadow: nn.Module | None
    reference: Runtime | None  # None: what ``original`` answers
    deployed: Runtime
    device: torch.device
    notes: tuple[str, ...]


def parts_of_modules(
    original: Model,
    deployed: Model,
    *,
    shadow: nn.Module | None,
    example: Batch | None,
    classes: Sequence[str] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    batch: int | None,
    output: str | None,
) -> Parts:
    """The parts of a pair; arguments and errors are those of :meth:`compd.Pair.from_modules`."""
    for name, model in (("original", original), ("deployed", deployed)):
        if not callable(model):
            raise SettingError(
                f"expected a module or a callable as {name}, got {type(model).__name__}"
            )
    if shadow is not None and not isinstance(shadow, nn.Module):
        raise SettingError(
            f"expected a torch.nn.Module as shadow, got {type(shadow).__name__}; what gives no "
            "gradients is no shadow"
        )
    if batch is not None:
        checked_batch(batch)
    images = None if example is None else _images_of(example)
    if images is None and classes is None:
        raise SettingError(
            "an example of the images, or the names of the classes", example=None, classes=None
        )
    if output is not None and output not in OUTPUTS:
        raise unknown("output", output, OUTPUTS)
    front = _Front(mean, std, output)
    device = device_of(original) if isinstance(original, nn.Module) else torch.device("cpu")
    own = front.before(original, "original") if isinstance(original, nn.Module) else None
    first: Runtime
    if own is not None:
        first = FloatRuntime(own.to(device), device)
    else:
        first = CallableRuntime(original, output=output)
    ships: Runtime
    if isinstance(deployed, nn.Module):
        where = device_of(deployed)
        ships = ModuleRuntime(front.before(deployed, "deployed").to(where), where, batch)
    else:
        ships = CallableRuntime(deployed, batch, output)
    stands = None if shadow is None else front.before(shadow, "shadow").to(device)
    if images is not None:
        for module in (own, ships.module if isinstance(ships, ModuleRuntime) else None, stands):
            if module is not None:
                module.learn(probe_images(*images.shape[1:]))
    models = [first, ships] if stands is None else [first, ships, FloatRuntime(stands, device)]
    names = _classes(classes, models, images)
    channels, *sides = (0, 0, 0) if images is None else images.shape[1:]
    name = name_of(own) if own is not None else first.name
    spec = PairSpec(
        ModelSpec(name, None, channels, Size(*sides), names, _tuple(mean), _tuple(std)),
        Given(name, ships.name, "none" if shadow is None or own is None else "own"),
        ships.engine,
        "",
        "",
    )
    trained = [
        f"the {name}"
        for name, one in (("original", original), ("deployed model", deployed))
        if isinstance(one, nn.Module) and one.training
    ]
    notes = [f"cannot be saved: {ships.name} is an object of this process"]
    if shadow is None or own is None:
        what = "shadow" if own is not None else "original that is a module"
        notes.insert(0, f"no gradients: the pair has no {what}; blackbox searches without")
    if trained:
        notes.append(
            f"{' and '.join(trained)} came in training mode, and "
            f"{'are' if len(trained) > 1 else 'is'} asked in evaluation mode"
        )
    return Parts(
        spec,
        own,
        stands,
        first if own is None else None,
        ships,
        device,
        tuple(notes),
    )


@dataclass(frozen=True)
class _Front:
    """The normalisation in front of all modules of a pair."""

    mean: Sequence[float] | None
    std: Sequence[float] | None
    output: str | None  # what they answer with, if the user says it

    def before(self, net: nn.Module, name: str) -> Logits:
        """A copy of a module with the normalisation in front."""
        if (self.mean is None) != (self.std is None):
            raise SettingError("mean and std together", mean=self.mean, std=self.std)
        try:
            own = copied(net)
        except Exception as error:  # of whatever the module holds
            raise ModelError(
                f"expected a module that can be copied as {name}, got {type(net).__name__} with "
                f"{type(error).__name__}: {brief(error)}; wrap it in a function"
            ) from error
        front = None if self.mean is None or self.std is None else Normalise(self.mean, self.std)
        return Logits(own, front, self.output).eval()


def _images_of(given: object) -> Tensor:
    """An example as uint8 (N, C, H, W)."""
    example = arranged(as_tensor(given, "example"))
    if example.ndim != 4 or not len(example):
        raise SettingError(
            f"expected an example of images (N, C, H, W), got {tuple(example.shape)}"
        )
    if example.shape[1] not in (1, 3):
        raise InputError(
            f"expected images of 1 or 3 channels, got an example {tuple(example.shape)}"
        )
    if example.dtype == torch.uint8:
        return example
    if (
        not example.is_floating_point()
        or not 0 <= float(example.min()) <= float(example.max()) <= 1
    ):
        raise InputError(
            f"expected an example of uint8 pixels, or of floats in 0..1, got {example.dtype} in "
            f"{float(example.min()):g}..{float(example.max()):g}; a normalisation is part of the "
            f"model: pass {setting('mean')} and {setting('std')}"
        )
    return (example * 255).round().to(torch.uint8)


def _classes(
    classes: Sequence[str] | None, models: Sequence[Runtime], images: Tensor | None
) -> tuple[str, ...]:
    """Names of the classes; with an example, all models are asked, and have to agree on it."""
    names = None if classes is None else tuple(str(name) for name in classes)
    if images is not None:
        counts = [numbers_from(one.run, images[:2], one.name).shape[1] for one in models]
        if len({*counts, len(names or range(counts[0]))}) > 1:
            roles = zip(counts, ("the original", "the deployed model", "the shadow"), strict=False)
            got = ", ".join(f"{count} of {role}" for count, role in roles)
            named = "" if names is None else f" and {len(names)} names"
            raise ModelError(f"expected models of the same classes, got {got}{named}")
        names = names or tuple(str(i) for i in range(counts[0]))
    if names is None or len(names) < 2 or len(set(names)) < len(names):
        raise SettingError("two different class names or more", classes=names)
    return names


def _tuple(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values)
