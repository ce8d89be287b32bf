"""What a pair is made of, as data: enough to build its architectures again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from compd.compress import Compression, Given, config_from_json, config_to_json, kind_of
from compd.errors import CompdError
from compd.models import Classifier, build_zoo_model, check_model, load_factory

__all__ = ["ModelSpec", "PairSpec"]


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
        if isinstance(self.compress, Given):
            parts = [self.compress.deployed, data, self.engine]
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
