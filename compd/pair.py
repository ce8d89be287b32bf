"""A pair: original, shadow and deployed, with the fingerprint of all that can change an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from compd.compress import Compression, config_from_json, config_to_json, empty_shadow, kind_of
from compd.errors import CompdError
from compd.machine import cpu_flags, versions
from compd.models import Classifier, build_zoo_model, check_model, load_factory, state_hash
from compd.runtimes import FloatRuntime, Runtime, check_engine, deploy
from compd.storage import disk_errors, write_atomic

__all__ = ["ModelSpec", "Pair", "PairSpec", "choose_device", "tensors_to_bytes"]

_FORMAT = 1
_FILES = {"original": "original.safetensors", "shadow": "shadow.safetensors"}


@dataclass(frozen=True)
class ModelSpec:
    """What it takes to build the original's architecture again."""

    model: str  # a zoo name or pkg.module:factory
    width: int | None
    channels: int
    size: int
    classes: tuple[str, ...]
    mean: tuple[float, ...] | None  # None: a factory's model that normalises by itself
    std: tuple[float, ...] | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        """Read what ``dataclasses.asdict`` gave; raises TypeError, KeyError or ValueError."""

        def numbers(value: Any) -> tuple[float, ...] | None:
            return None if value is None else tuple(float(v) for v in value)

        channels, size, width = data["channels"], data["size"], data["width"]
        if channels not in (1, 3) or not 1 <= size <= 1 << 12:
            raise ValueError(f"channels={channels!r}, size={size!r}")
        if width is not None and not 1 <= width <= 1 << 12:
            raise ValueError(f"width={width!r}")
        if len(data["classes"]) < 2:
            raise ValueError(f"classes={data['classes']!r}")
        return cls(
            model=str(data["model"]),
            width=width,
            channels=channels,
            size=size,
            classes=tuple(str(name) for name in data["classes"]),
            mean=numbers(data["mean"]),
            std=numbers(data["std"]),
        )

    def build(self) -> nn.Module:
        """Return the architecture, weights as built, in eval mode on the CPU."""
        if ":" not in self.model:
            if self.mean is None or self.std is None:
                raise CompdError(f"expected mean and std for model={self.model!r}, got none")
            return build_zoo_model(
                self.model, classes=len(self.classes), channels=self.channels, size=self.size,
                width=self.width, mean=self.mean, std=self.std,
            )  # fmt: skip
        model = load_factory(self.model)
        if self.mean is not None and self.std is not None:
            model = Classifier(model, self.mean, self.std).eval()
        check_model(
            model, channels=self.channels, size=self.size, classes=len(self.classes),
            name=self.model,
        )  # fmt: skip
        return model


@dataclass(frozen=True)
class PairSpec:
    """Everything about a pair but its weights; the content of ``pair.json``."""

    model: ModelSpec
    compress: Compression
    engine: str
    data: str  # as the user named it
    data_identity: str
    rows: Mapping[str, str] = field(default_factory=dict)  # that training and calibration used

    @property
    def label(self) -> str:
        """A short name for folders: model, data, compression, engine."""
        data = Path(self.data).name or "data"
        parts = [self.model.model, data, kind_of(self.compress), self.engine]
        text = "-".join(parts)
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "model": asdict(self.model),
            "compress": config_to_json(self.compress),
            "engine": self.engine,
            "data": self.data,
            "data_identity": self.data_identity,
            "rows": dict(self.rows),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PairSpec:
        """The inverse of :meth:`to_json`; anything missing raises KeyError or TypeError."""
        return cls(
            model=ModelSpec.from_json(data["model"]),
            compress=config_from_json(data["compress"]),
            engine=str(data["engine"]),
            data=str(data["data"]),
            data_identity=str(data["data_identity"]),
            rows={str(key): str(value) for key, value in data["rows"].items()},
        )


class Pair:
    """An original, its shadow and the deployed model.

    The modules given become the pair's own: they are moved to ``device``, put in eval mode and
    stop asking for weight gradients. Hand in copies of models that you go on using.

    Args:
        spec: how they were made.
        original: float pixels in 0..1 to logits.
        shadow: the same, differentiable stand-in of the deployed model.
        device: where original and shadow run; int8 kernels run on the CPU.
        deployed: the model that judges; made from the shadow if None.
    """

    def __init__(
        self,
        spec: PairSpec,
        original: nn.Module,
        shadow: nn.Module,
        *,
        device: torch.device,
        deployed: Runtime | None = None,
    ) -> None:
        self.device = device
        self.original = _own(original, device)
        self.shadow = _own(shadow, device)
        self.deployed = (
            deploy(spec.compress, self.shadow, engine=spec.engine, device=device)
            if deployed is None
            else deployed
        )
        self.spec = replace(spec, engine=self.deployed.engine)  # pruned models have no int8 engine
        self.reference: Runtime = FloatRuntime(self.original, device)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return self.spec.model.classes

    @property
    def std(self) -> tuple[float, ...]:
        """Per-channel standard deviation of the first layer; ones where the model has none."""
        return self.spec.model.std or (1.0,) * self.spec.model.channels

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the numbers of each of the three models."""
        return {
            "original": self.reference.content_hash,
            "shadow": state_hash(self.shadow.state_dict()),
            "deployed": self.deployed.content_hash,
        }

    def fingerprint(self, *, batch: int) -> dict[str, Any]:
        """All that could change an answer on another machine or another day."""
        return {
            **versions(),
            "engine": self.deployed.engine,
            "device": str(self.device.type),
            "threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "cpu_flags": " ".join(cpu_flags()),
            "batch": batch,
            **{f"{name}_sha256": value for name, value in self.hashes.items()},
        }

    def check_input(self, images: Tensor, name: str) -> None:
        """Raise unless images have the channels and size this pair was made for."""
        model = self.spec.model
        if tuple(images.shape[1:]) != (model.channels, model.size, model.size):
            raise CompdError(
                f"expected {name} of shape (N, {model.channels}, {model.size}, {model.size}) for "
                f"this pair, got {tuple(images.shape)}; pass --size {model.size} to scale them"
            )

    def save(self, directory: Path) -> None:
        """Write the pair to a directory that :meth:`load` reads.

        Raises:
            CompdError: if the directory holds something else, or cannot be written.
        """
        config = directory / "pair.json"
        if directory.exists() and not config.exists() and any(directory.iterdir()):
            raise CompdError(
                f"expected a new or a pair's directory, got {str(directory)!r}, which holds other "
                "files; name another one"
            )
        with disk_errors(directory):
            for name, file in _FILES.items():
                write_atomic(directory / file, tensors_to_bytes(getattr(self, name)))
            content = {
                "format": _FORMAT,
                **self.spec.to_json(),
                "hashes": self.hashes,
                "fingerprint": self.fingerprint(batch=0),
            }
            write_atomic(config, (json.dumps(content, indent=2) + "\n").encode())

    @classmethod
    def load(
        cls, directory: Path | str, *, engine: str | None = None, device: str = "auto"
    ) -> Pair:
        """Read a pair that :meth:`save` wrote.

        Args:
            directory: where it lies.
            engine: run it on this int8 engine instead of its own.
            device: ``auto``, ``cpu``, ``cuda``, …

        Raises:
            CompdError: if files are missing, corrupt, or do not belong together.
        """
        directory = Path(directory)
        try:
            content = json.loads((directory / "pair.json").read_text())
            if content["format"] != _FORMAT:
                raise CompdError(
                    f"expected pair format {_FORMAT}, got format={content['format']!r} in "
                    f"{str(directory)!r}; it was written by another version of compd"
                )
            spec = PairSpec.from_json(content)
            hashes = {name: str(content["hashes"][name]) for name in _FILES}
        except FileNotFoundError as error:
            raise CompdError(
                f"expected a pair directory (pair.json), got pair={str(directory)!r}; make one "
                "with: compd compress --out DIR"
            ) from error
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise CompdError(
                f"expected a pair directory, got a broken pair.json in {str(directory)!r} "
                f"({type(error).__name__}: {str(error)[:80]})"
            ) from error
        if engine is not None:
            check_engine(spec.compress, engine)
            spec = replace(spec, engine=engine)
        original = spec.model.build()
        model = spec.model
        shadow = empty_shadow(
            spec.compress, original, torch.zeros(1, model.channels, model.size, model.size)
        )
        for (name, file), module in zip(_FILES.items(), (original, shadow), strict=True):
            load_tensors_(module, directory / file)
            if state_hash(module.state_dict()) != hashes[name]:
                raise CompdError(
                    f"expected {file} with the hash that pair.json names, got another in "
                    f"{str(directory)!r}; the files do not belong together"
                )
        return cls(spec, original, shadow, device=choose_device(device))


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
        raise CompdError(
            f"expected a device that this PyTorch can use, got device={name!r} "
            f"({str(error).splitlines()[0][:100]}); try --device cpu"
        ) from error
    return device


def tensors_to_bytes(module: nn.Module, metadata: dict[str, str] | None = None) -> bytes:
    """A module's state dict as safetensors; shared tensors are written once each name."""
    state = module.state_dict()
    return save_tensors(
        {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in state.items()
        },
        metadata,
    )


def load_tensors_(module: nn.Module, path: Path) -> None:
    """Load what :func:`tensors_to_bytes` wrote into a module of the same shape, in place."""
    try:
        state = load_tensors(path.read_bytes())
        module.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise CompdError(
            f"expected the weights of this model, got {str(path)!r} "
            f"({' '.join(str(error).split())[:120]}); make the pair again"
        ) from error


def _own(module: nn.Module, device: torch.device) -> nn.Module:
    module = module.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return module.requires_grad_(False)
