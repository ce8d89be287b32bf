"""What a pair is made of, as data: enough to build its architectures again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from compd.compress import (
    Compression,
    Given,
    code_of,
    config_from_json,
    config_to_json,
    kind_of,
)
from compd.data import Resize
from compd.errors import InputError, brief
from compd.files.reading import inside, read_whole
from compd.models import Classifier, WeightsFile, build_zoo_model, check_model, load_factory
from compd.models.factory import example_images, traceable
from compd.models.plain import plain
from compd.sizes import Size
from compd.text import printable
from compd.wording import command

__all__ = ["PAIR_FILE", "PAIR_FORMAT", "ModelSpec", "PairSpec", "read_pair_file"]

PAIR_FILE = "pair.json"
PAIR_FORMAT = 1
_MOST_BYTES = 1 << 24  # of the file: the names of half a million classes


@dataclass(frozen=True)
class ModelSpec:
    """What it takes to build the original's architecture again."""

    model: str  # a zoo name or pkg.module:factory
    width: int | None
    channels: int
    size: Size
    classes: tuple[str, ...]
    mean: tuple[float, ...] | None  # None: a factory's model that normalises by itself
    std: tuple[float, ...] | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        """The inverse of :meth:`to_json`.

        Raises:
            TypeError, KeyError, ValueError, OverflowError: if it is anything else.
        """

        def numbers(name: str) -> tuple[float, ...] | None:
            values = None if data[name] is None else tuple(float(v) for v in data[name])
            lowest = 0.0 if name == "std" else -math.inf
            if values is not None and not all(lowest < v < math.inf for v in values):
                raise ValueError(f"{name}={values}")
            return values

        def whole(name: str, value: Any) -> int:
            if type(value) is not int or not 1 <= value <= 1 << 12:  # a bool is an int, too
                raise ValueError(f"{name}={value!r}")
            return value

        def integer(name: str) -> int:
            return whole(name, data[name])

        said = data["size"]
        sides = said if isinstance(said, list | tuple) and len(said) == 2 else (said, said)

        channels = integer("channels")
        width = None if data["width"] is None else integer("width")
        if channels not in (1, 3):
            raise ValueError(f"channels={channels!r}")
        if not isinstance(data["classes"], list | tuple) or len(data["classes"]) < 2:
            raise ValueError(f"classes={data['classes']!r}")
        return cls(
            model=str(data["model"]),
            width=width,
            channels=channels,
            size=Size(*(whole("size", side) for side in sides)),
            classes=tuple(printable(str(name)) for name in data["classes"]),
            mean=numbers("mean"),
            std=numbers("std"),
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; a square's size is one number."""
        return {**asdict(self), "size": self.size.to_json()}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image; zeros where it is not known."""
        return self.channels, *self.size

    @property
    def is_code(self) -> bool:
        """Whether building it runs a function that the name names."""
        return ":" in self.model

    def build(self, weights: WeightsFile | None = None, *, traced: bool = True) -> nn.Module:
        """Return the network in eval mode on the CPU: plain float32 layers.

        Args:
            weights: for a factory's network; None for its weights as built.
            traced: whether it has to have gradients and to survive tracing; to train it, it has
                not.

        Raises:
            CompdError: if the network cannot be built, or is none that compd can work with.
        """
        if not self.is_code:
            if self.mean is None or self.std is None:
                raise InputError(f"expected mean and std for model={self.model!r}, got none")
            return build_zoo_model(
                self.model,
                classes=len(self.classes),
                channels=self.channels,
                size=self.size,
                width=self.width,
                mean=self.mean,
                std=self.std,
            )
        example = example_images(self.channels, self.size)
        net = plain(load_factory(self.model), example, self.model, weights)
        front = None
        if self.mean is not None and self.std is not None:
            front = Classifier(net, self.mean, self.std).eval()
        check_model(
            front or net,
            channels=self.channels,
            size=self.size,
            classes=len(self.classes),
            name=self.model,
        )
        if not traced:
            return front or net
        if front is None:
            return traceable(net, example, self.model)
        front.net = traceable(net, front.normalise(example), self.model)
        return front


@dataclass(frozen=True)
class PairSpec:
    """Everything about a pair but its weights; the content of ``pair.json``."""

    model: ModelSpec
    compress: Compression
    engine: str
    data: str  # as the user named it
    data_identity: str
    rows: Mapping[str, str] = field(default_factory=dict)  # that training and calibration used
    resize: str = ""  # how the data's images were scaled; empty where nobody said it

    @property
    def code(self) -> str:
        """The ``pkg.module:factory`` that opening the pair runs; empty if it runs none."""
        return self.model.model if self.model.is_code else code_of(self.compress)

    @property
    def label(self) -> str:
        """A short name for folders: model, data, compression, engine."""
        data = Path(self.data).name or ("data" if self.data else "")
        parts = [self.model.model, data, kind_of(self.compress), self.engine]
        if isinstance(self.compress, Given):
            parts = [self.compress.deployed, data, self.engine]
        text = "-".join(part for part in parts if part)
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)

    @property
    def title(self) -> str:
        """The same for people: ``resnet18 on digits, qat, x86``."""
        data = f" on {Path(self.data).name or 'data'}" if self.data else ""
        if isinstance(self.compress, Given):
            return f"{self.compress.original} and {self.compress.deployed}{data}, {self.engine}"
        return f"{self.model.model}{data}, {kind_of(self.compress)}, {self.engine}"

    @property
    def made_of(self) -> dict[str, Any]:
        """What a corpus says of its pair, as a JSON object: enough to build it again."""
        return {
            "model": self.model.to_json(),
            "compress": config_to_json(self.compress),
            "engine": self.engine,
            **({"resize": self.resize} if self.resize else {}),
        }

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            **self.made_of,
            "data": self.data,
            "data_identity": self.data_identity,
            "rows": dict(self.rows),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PairSpec:
        """The inverse of :meth:`to_json`, but for what a terminal would obey: it is written out.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, OverflowError: if it is anything else.
            CompdError: if the compression is unknown or has other settings.
        """
        return cls(
            model=ModelSpec.from_json(data["model"]),
            compress=config_from_json(data["compress"]),
            engine=str(data["engine"]),
            data=printable(str(data["data"])),
            data_identity=printable(str(data["data_identity"])),
            rows={printable(key): printable(str(value)) for key, value in data["rows"].items()},
            resize=str(Resize.parse(data["resize"])) if "resize" in data else "",
        )


def read_pair_file(directory: Path) -> tuple[PairSpec, Mapping[str, str]]:
    """Read what a pair's folder says of it; nothing is built.

    Returns:
        The specification, and the hashes that its models have to have.

    Raises:
        CompdError: if the folder has none, or a broken one, or a link that leads out of it.
    """
    try:
        content = json.loads(read_whole(inside(directory, PAIR_FILE), _MOST_BYTES))
        if content["format"] != PAIR_FORMAT:
            raise InputError(
                f"expected pair format {PAIR_FORMAT}, got format={content['format']!r} in "
                f"{str(directory)!r}; it was written by another version of compd"
            )
        hashes = {str(name): str(value) for name, value in content["hashes"].items()}
        return PairSpec.from_json(content), hashes
    except FileNotFoundError as error:
        raise InputError(
            f"expected a pair directory ({PAIR_FILE}), got pair={str(directory)!r}; make one "
            f"with: {command('compress', out='DIR')}"
        ) from error
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InputError(
            f"expected a pair directory, got a broken {PAIR_FILE} in {str(directory)!r} "
            f"({type(error).__name__}: {brief(error, 80)})"
        ) from error
