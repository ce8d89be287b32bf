"""A pair: original, shadow and deployed, with the fingerprint of all that can change an answer."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compd.compress import empty_shadow
from compd.errors import InputError, UnavailableError, brief
from compd.files.reading import inside
from compd.files.storage import disk_errors, write_atomic
from compd.models import model_hash, zoo_weights
from compd.models.tensors import load_tensors_, tensors_to_bytes
from compd.pair.answers import Answers
from compd.pair.spec import PAIR_FILE, PAIR_FORMAT, PairSpec, read_pair_file
from compd.runtimes import FileRuntime, FloatRuntime, Runtime, check_engine, deploy
from compd.system.machine import cpu_flags, isa_limits, versions
from compd.wording import setting

__all__ = ["Pair", "check_pair_target", "choose_device", "own_copy"]

_FILES = {"original": "original.safetensors", "shadow": "shadow.safetensors"}


class Pair:
    """An original, its shadow and the deployed model.

    The pair works on copies of the modules given, in eval mode, without weight gradients.

    Args:
        spec: how they were made.
        original: float pixels in 0..1 to logits; None if it can only be run, as ``reference``.
        shadow: the same, differentiable stand-in of the deployed model; None if there is none, and
            then only searches without gradients can be run.
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
        self.deployed = (
            deploy(spec.compress, self.shadow, engine=spec.engine, device=device)
            if deployed is None
            else deployed
        )
        self.spec = replace(spec, engine=self.deployed.engine)  # pruned models have no int8 engine
        self.reference: Runtime = reference or FloatRuntime(self.original, device)
        self.answers = Answers()  # of its models to clean images

    @property
    def has_shadow(self) -> bool:
        """Whether there are gradients: of the original, and of a stand-in of the deployed model."""
        return self._shadow is not None and self._original is not None

    @property
    def original(self) -> nn.Module:
        """The original, differentiable.

        Raises:
            CompdError: if it can only be run.
        """
        if self._original is None:
            raise InputError(
                "expected an original with gradients, got one that can only be run; a search "
                f"without gradients needs none: {setting('strategy', 'blackbox')}"
            )
        return self._original

    @property
    def shadow(self) -> nn.Module:
        """The differentiable stand-in of the deployed model.

        Raises:
            CompdError: if there is none.
        """
        if self._shadow is None:
            raise InputError(
                "expected a pair with a shadow, got one without; a search without gradients needs "
                f"none: {setting('strategy', 'blackbox')}"
            )
        return self._shadow

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return self.spec.model.classes

    @property
    def std(self) -> tuple[float, ...]:
        """Per-channel standard deviation of the first layer; ones where the model has none."""
        return self.spec.model.std or (1.0,) * self.spec.model.channels

    @cached_property
    def shadow_runtime(self) -> Runtime:
        """The shadow as something that is run.

        Raises:
            CompdError: if there is none.
        """
        return FloatRuntime(self.shadow, self.device, "shadow")

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the numbers of each of the models."""
        shadow = {"shadow": model_hash(self.shadow)} if self.has_shadow else {}
        return {
            "original": self.reference.content_hash,
            **shadow,
            "deployed": self.deployed.content_hash,
        }

    def fingerprint(self, *, batch: int) -> dict[str, Any]:
        """All that could change an answer on another machine or another day."""
        return {
            **versions(),
            "engine": self.deployed.engine,
            **_facts("reference", self.reference),
            **_facts("deployed", self.deployed),
            "device": _device_name(self.device),
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
        if tuple(images.shape[1:]) != (model.channels, model.size, model.size):
            raise InputError(
                f"expected {name} of shape (N, {model.channels}, {model.size}, {model.size}) for "
                f"this pair, got {tuple(images.shape)}; pass "
                f"{setting('size', model.size)} to scale them"
            )

    def save(self, directory: Path) -> None:
        """Write the pair to a directory that :meth:`load` reads.

        Raises:
            CompdError: if the directory holds something else, or cannot be written, or if there is
                no shadow to make the deployed model from again.
        """
        if isinstance(self.deployed, FileRuntime):
            raise InputError(
                f"expected a pair that compd can build again, got {self.deployed.path.name!r} "
                f"as its deployed model; name that file with {setting('deployed')} whenever the "
                "pair is used"
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
                "fingerprint": self.fingerprint(batch=0),
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
        if spec.model.is_code and not trust:
            raise InputError(
                f"expected {setting('trust', True)} for pair={str(directory)!r}, since its model "
                f"{spec.model.model!r} is code that would be run; pass it if you know what that is"
            )
        if engine is not None:
            check_engine(spec.compress, engine)
            spec = replace(spec, engine=engine)
        model = spec.model
        _check_weights(spec, directory)
        original = model.build()
        shadow = empty_shadow(
            spec.compress, original, torch.zeros(1, model.channels, model.size, model.size)
        )
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
    if spec.model.is_code:
        return
    least = 4 * zoo_weights(
        spec.model.model,
        classes=len(spec.model.classes),
        channels=spec.model.channels,
        size=spec.model.size,
        width=spec.model.width,
    )
    for file in _FILES.values():
        path = inside(directory, file)
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


def choose_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` … into a device that is there.

    Raises:
        CompdError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UnavailableError(
            f"expected a device that this PyTorch can use, got device={name!r} "
            f"({brief(error, 100)}); try {setting('device', 'cpu')}"
        ) from error
    return device


def _device_name(device: torch.device) -> str:
    if device.type != "cuda":
        return device.type
    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"


def _facts(role: str, runtime: Runtime) -> dict[str, Any]:
    """What a file's runtime says of itself."""
    if not isinstance(runtime, FileRuntime):
        return {}
    return {f"{role}_{key}": value for key, value in runtime.facts.items()} | {
        f"{role}_input": json.dumps(runtime.format.to_json(), sort_keys=True)
    }


def own_copy(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a caller's module as a pair runs it: in eval mode, without weight gradients."""
    module = copy.deepcopy(module).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return module.requires_grad_(False)
