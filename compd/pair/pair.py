"""A pair: original, shadow and deployed, with the fingerprint of all that can change an answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compd.compress import COMPRESSIONS, empty_shadow
from compd.compress.int8 import ENGINES
from compd.errors import InputError, ModelError
from compd.files.reading import inside
from compd.files.storage import disk_errors, write_atomic
from compd.models import model_hash, zoo_weights
from compd.models.inputs import checked_batch, fitting
from compd.models.tensors import load_tensors_, tensors_to_bytes
from compd.pair.answers import AnswerCache
from compd.pair.arrays import Batch
from compd.pair.from_modules import Model, parts_of_modules
from compd.pair.spec import PAIR_FILE, PAIR_FORMAT, PairSpec, read_pair_file
from compd.runtimes import FloatRuntime, Runtime, check_engine, deploy
from compd.system.devices import choose_device, device_name
from compd.system.machine import cpu_flags, isa_limits, versions
from compd.text import shortened
from compd.wording import setting

__all__ = ["Pair", "check_pair_target", "own_copy"]

_FILES = {"original": "original.safetensors", "shadow": "shadow.safetensors"}


class Pair:
    """An original, its shadow and the deployed model.

    The pair works on copies of the modules given, in eval mode, without weight gradients.

    Args:
        spec: how they were made.
        original: float pixels in 0..1 to logits; None if it can only be run, as ``reference``.
        shadow: the same for the deployed model; None if there is none, and then only searches
            without gradients can be run.
        device: where original and shadow run; int8 kernels run on the CPU.
        deployed: the model that judges; made from the shadow if None.
        reference: what the original answers with; ``original`` itself if None.
        notes: what a user should know of how the pair came to be.

    Raises:
        CompdError: if there is neither a shadow nor a deployed model, or no original.
    """

    def __init__(
        self,
        spec: PairSpec,
        original: nn.Module | None,
        shadow: nn.Module | None,
        *,
        device: torch.device,
        deployed: Runtime | None = None,
        reference: Runtime | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.notes = notes
        self.device = device
        self._original = None if original is None else own_copy(original, device)
        self._shadow = None if shadow is None else own_copy(shadow, device)
        self.rebuilds = deployed is None  # whether the deployed model comes from the shadow
        self.deployed = (
            deploy(spec.compress, self.shadow, engine=spec.engine, device=device)
            if deployed is None
            else deployed
        )
        self.spec = replace(spec, engine=self.deployed.engine)  # pruned models have no int8 engine
        self.reference: Runtime = reference or FloatRuntime(self.original, device)
        self.answers = AnswerCache()  # of its models to clean images
        self._batch: int | None = None

    def __repr__(self) -> str:
        model = self.spec.model
        shape = "x".join(map(str, model.shape)) if model.size else ""
        parts = [self.spec.title, f"{len(model.classes)} classes", shape]
        return shortened(f"Pair({', '.join(part for part in parts if part)})")

    @classmethod
    def from_modules(
        cls,
        original: Model,
        deployed: Model,
        *,
        shadow: nn.Module | None = None,
        example: Batch | None = None,
        classes: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        batch: int | None = None,
        output: str | None = None,
    ) -> Pair:
        """Make a pair of a network and whatever answers for its compressed form.

        Args:
            original: a module that takes float pixels (N, C, H, W) in 0..1 and returns logits
                (N, K), or an object that has them as ``logits``; not changed. Or a callable, as
                ``deployed``; then there are no gradients.
            deployed: what ships: a module that takes the same pixels, or any callable that takes
                uint8 (N, C, H, W) and returns numbers (N, K), a tensor or an array: a session of a
                runtime, a server, a device.
            shadow: a differentiable module that answers as the deployed model does. Without one,
                searches take no gradients: ``blackbox``.
            example: images (N, C, H, W), uint8, or float in 0..1, from which their shape is
                learnt, or what else can be meant one way only (:mod:`compd.pair.arrays`);
                without one, ``classes`` are needed.
            classes: their names in label order; None numbers them.
            mean: per-channel mean that is subtracted in front of the modules; None if they do so.
            std: the same for the standard deviation.
            batch: images that the deployed model takes in a call at most; None for any number.
            output: what all models answer with: ``logits``, ``probs``, ``sigmoid`` (a probability
                of each class, or its logit) or ``binary`` (one number: of the second of two
                classes); None where their answers to the example tell.

        Returns:
            The pair. It can be checked, searched, stored and replayed; what is not code of this
            process is needed to open it in another one, so that it cannot be saved.

        Raises:
            CompdError: if a module cannot be copied or run, or the two do not fit each other.
        """
        parts = parts_of_modules(
            original,
            deployed,
            shadow=shadow,
            example=example,
            classes=classes,
            mean=mean,
            std=std,
            batch=batch,
            output=output,
        )
        return cls(
            parts.spec,
            parts.original,
            parts.shadow,
            device=parts.device,
            deployed=parts.deployed,
            reference=parts.reference,
            notes=parts.notes,
        )

    def with_shadow(self, shadow: nn.Module, compress: Any = None) -> Pair:
        """The same original with another shadow, and the deployed model that is made of it.

        Args:
            shadow: float pixels in 0..1 to logits.
            compress: the configuration that it was made with; None for this pair's.
        """
        spec = self.spec if compress is None else replace(self.spec, compress=compress)
        if spec.engine not in ENGINES:  # what is deployed now is no int8 model
            spec = replace(spec, engine=ENGINES[0])
        other = Pair(spec, None, shadow, device=self.device, reference=self.reference)
        other._original, other._batch = self._original, self._batch
        other.answers = self.answers.of_one(self.reference)
        return other

    def with_deployed(self, deployed: Runtime) -> Pair:
        """The same original and shadow with another deployed model."""
        other = Pair(
            self.spec,
            None,
            self._shadow,
            device=self.device,
            deployed=deployed,
            reference=self.reference,
            notes=self.notes,
        )
        other._original, other.answers, other._batch = self._original, self.answers, self._batch
        return other

    @property
    def batch(self) -> int:
        """Images a model call, as it was set, or else as many as pay: large ones are few."""
        if self._batch is not None:
            return self._batch
        return fitting(64 if self.device.type == "cpu" else 512, self.spec.model.shape)

    @batch.setter
    def batch(self, number: int | None) -> None:
        self._batch = None if number is None else checked_batch(number)

    @property
    def batch_asked(self) -> int | None:
        """Images a model call, if somebody set their number."""
        return self._batch

    @property
    def has_shadow(self) -> bool:
        """Whether there are gradients: of the original, and of a shadow of the deployed model."""
        return self._shadow is not None and self._original is not None

    @property
    def can_differentiate_original(self) -> bool:
        """Whether the original is a module, and not something that can only be run."""
        return self._original is not None

    @property
    def original(self) -> nn.Module:
        """The original, differentiable.

        Raises:
            CompdError: if it can only be run.
        """
        if self._original is None:
            raise ModelError(
                "expected an original with gradients, got one that can only be run; a search "
                f"without gradients needs none: {setting('strategy', 'blackbox')}"
            )
        return self._original

    @property
    def shadow(self) -> nn.Module:
        """The differentiable module that answers as the deployed model does.

        Raises:
            CompdError: if there is none.
        """
        if self._shadow is None:
            raise ModelError(
                "expected a pair with a shadow, got one without; a search without gradients needs "
                f"none: {setting('strategy', 'blackbox')}"
            )
        return self._shadow

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return self.spec.model.classes

    @property
    def heads(self) -> tuple[str, str]:
        """What makes probabilities of the logits of the original, and of the deployed model.

        ``softmax``, or ``sigmoid`` of each. Where one model does not say it, it is the other's.
        """
        said = self.reference.head, self.deployed.head
        return said[0] or said[1] or "softmax", said[1] or said[0] or "softmax"

    @property
    def std(self) -> tuple[float, ...]:
        """Per-channel standard deviation of the first layer; ones where the model has none."""
        return self.spec.model.std or (1.0,) * (self.spec.model.channels or 1)

    @cached_property
    def shadow_runtime(self) -> Runtime:
        """The shadow as something that is run; the deployed model, if that is what is deployed.

        Raises:
            CompdError: if there is none.
        """
        shipped, shadow = self.deployed, self.shadow
        if isinstance(shipped, FloatRuntime) and shipped.runs(shadow):
            return shipped  # no image is asked of it twice
        return FloatRuntime(shadow, self.device, "shadow")

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the numbers of each of the models."""
        shadow = {"shadow": model_hash(self.shadow)} if self.has_shadow else {}
        return {
            "original": self.reference.content_hash,
            **shadow,
            "deployed": self.deployed.content_hash,
        }

    def fingerprint(self, *, batch: int = 0) -> dict[str, Any]:
        """All that could change an answer on another machine or another day."""
        return {
            **versions(),
            "engine": self.deployed.engine,
            **{f"reference_{key}": value for key, value in self.reference.facts.items()},
            **{f"deployed_{key}": value for key, value in self.deployed.facts.items()},
            "device": device_name(self.device),
            "threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "cpu_flags": " ".join(cpu_flags()),
            "isa_limits": isa_limits(),
            "batch": batch,
            **{f"{name}_sha256": value for name, value in self.hashes.items()},
        }

    def check_input(self, images: Tensor, name: str) -> None:
        """Raise unless images have the channels and size this pair was made for."""
        model = self.spec.model
        if model.size and tuple(images.shape[1:]) != model.shape:
            expected = ", ".join(map(str, model.shape))
            if images.shape[1] != model.channels:
                advice = "repeat grey, images.expand(-1, 3, -1, -1)"
                raise InputError(
                    f"expected {name} of shape (N, {expected}) for this pair, got "
                    f"{tuple(images.shape)}; "
                    f"{advice if model.channels == 3 else 'make them grey'} (of a data set: "
                    f"{setting('channels', model.channels)})"
                )
            raise InputError(
                f"expected {name} of shape (N, {expected}) for this pair, got "
                f"{tuple(images.shape)}; scale them (of a data set: {setting('size', model.size)})"
            )

    def save(self, directory: Path) -> None:
        """Write the pair to a directory that :meth:`load` reads.

        Raises:
            CompdError: if the directory holds something else, or cannot be written, or if there is
                no shadow to make the deployed model from again.
        """
        if not self.rebuilds:
            raise InputError(
                f"expected a pair that compd can build again, got {self.deployed.name!r} as its "
                f"deployed model; name it with {setting('deployed')} whenever the pair is used"
            )
        config = directory / PAIR_FILE
        check_pair_target(directory)
        with disk_errors(directory):
            for name, file in _FILES.items():
                write_atomic(directory / file, tensors_to_bytes(getattr(self, name)))
            content = {
                "format": PAIR_FORMAT,
                **self.spec.to_json(),
                "hashes": self.hashes,
                "fingerprint": self.fingerprint(),
            }
            write_atomic(config, (json.dumps(content, indent=2) + "\n").encode())

    @classmethod
    def load(
        cls,
        directory: Path | str,
        *,
        engine: str | None = None,
        device: str = "auto",
        trust: bool = True,
    ) -> Pair:
        """Read a pair that :meth:`save` wrote.

        Args:
            directory: where it lies.
            engine: run it on this int8 engine instead of its own.
            device: ``auto``, ``cpu``, ``cuda``, …
            trust: whether a model that is ``pkg.module:factory`` may be run.

        Raises:
            CompdError: if files are missing, corrupt, or do not belong together.
        """
        directory = Path(directory)
        spec, hashes = read_pair_file(directory)
        if spec.code and not trust:
            raise InputError(
                f"expected {setting('trust', True)} for pair={str(directory)!r}, since its model "
                f"{spec.code!r} is code that would be run; pass it if you know what that is"
            )
        if engine is not None:
            check_engine(spec.compress, engine)
            spec = replace(spec, engine=engine)
        model = spec.model
        _check_weights(spec, directory)
        original = model.build()
        shadow = empty_shadow(spec.compress, original, torch.zeros(1, *model.shape))
        for (name, file), module in zip(_FILES.items(), (original, shadow), strict=True):
            load_tensors_(module, inside(directory, file))
            if model_hash(module) != hashes.get(name):
                raise InputError(
                    f"expected {file} with the hash that pair.json names, got another in "
                    f"{str(directory)!r}; the files do not belong together"
                )
        return cls(spec, original, shadow, device=choose_device(device))


def _check_weights(spec: PairSpec, directory: Path) -> None:
    """Raise before a network is built if its weights cannot be in the files: it may be huge."""
    model, family = spec.model, COMPRESSIONS.of(spec.compress)
    classes = len(model.classes)
    fewest = {"original": 0, "shadow": 0}
    if not model.is_code:
        weights = zoo_weights(
            model.model,
            classes=classes,
            channels=model.channels,
            size=model.size,
            width=model.width,
        )
        fewest = {"original": weights, "shadow": weights}
    if family.fewest_weights is not None:
        fewest["shadow"] = family.fewest_weights(spec.compress, classes, model.channels, model.size)
    for name, file in _FILES.items():
        path, least = inside(directory, file), 4 * fewest[name]
        size = path.stat().st_size if path.is_file() else 0
        if size < least:
            raise InputError(
                f"expected {least} bytes of weights or more in {str(path)!r}, got {size}; make the "
                "pair again"
            )


def check_pair_target(directory: Path) -> None:
    """Raise unless a pair can be written there.

    Raises:
        CompdError: if the path is a file, or a folder with files that are not a pair's.
    """
    names = {PAIR_FILE, *_FILES.values()}
    if directory.is_file():
        raise InputError(f"expected a folder for the pair, got a file: {str(directory)!r}")
    if directory.is_dir() and any(
        path.name not in names and not path.name.endswith(".tmp") for path in directory.iterdir()
    ):
        raise InputError(
            f"expected a new or a pair's directory, got {str(directory)!r}, which holds other "
            "files; name another one"
        )


def own_copy(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a caller's module as a pair runs it: in eval mode, without weight gradients."""
    module = copy.deepcopy(module).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return module.requires_grad_(False)
