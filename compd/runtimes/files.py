"""Files made by somebody's toolchain, each run by the runtime that it is made for."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compd.errors import CompdError, ModelError, brief
from compd.files.programs import Program, source_of
from compd.runtimes.base import Census, Runtime
from compd.runtimes.batching import Batching, batching_of, probe_images
from compd.runtimes.formats import Overrides
from compd.runtimes.openers import check_source, opened, opener_of
from compd.runtimes.outputs import Output, output_of
from compd.sizes import AnySize, Size

__all__ = [
    "FileRuntime",
    "open_file",
]


class FileRuntime(Runtime):
    """A file, opened; :func:`open_file` makes one.

    Args:
        source: where it lies, or the program that answers in its place.
        overrides: what the user said of its input and output.
        size: height and width where the file leaves them open.
        optimise: whether the runtime may rewrite the graph, as it does by default.
    """

    def __init__(
        self,
        source: Path | Program,
        overrides: Overrides,
        *,
        size: Size | None = None,
        optimise: bool = True,
    ) -> None:
        check_source(source, overrides)
        self.source, self.overrides, self._size = source, overrides, size
        # of a program, what messages and records call it; it has no suffix
        self.path = Path(source.name) if isinstance(source, Program) else source
        self.own = overrides  # what of that was said for this file alone
        self._opened = opened(source, overrides, size, optimise)
        self._optimised = optimise
        self.format = self._opened.format
        self._batching, values = self._tried()
        self.format = self.format.answering(self._output_of(values))

    @property
    def engine(self) -> str:
        """The runtime and where it runs; ``-plain`` with its optimisation off."""
        return self._opened.engine + ("" if self._optimised else "-plain")

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the file, and of files with weights beside it; or of a program."""
        return self._opened.content_hash

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name

    @property
    def takes(self) -> str:
        """How it takes images, for people."""
        return self.format.describe()

    @property
    def facts(self) -> Mapping[str, Any]:
        """Versions, optimisation, and how images are read."""
        read = json.dumps(self.format.to_json(), sort_keys=True)
        more = {"asked": "image by image"} if self._batching is Batching.DEPENDS else {}
        if self.overrides.output_name is not None:
            more["output_name"] = self.overrides.output_name
        return {**self._opened.facts, "optimised": self._optimised, "input": read, **more}

    @property
    def census(self) -> Census:
        """The operators that run, by the type that they compute in."""
        found = self._opened.census
        return found() if callable(found) else found

    @property
    def compressed(self) -> tuple[str, ...] | None:
        """Element types of weights, and operators, that make it a compressed file."""
        return self._opened.compressed

    @property
    def batching(self) -> Batching:
        """How it treats several images in one call; it is asked accordingly."""
        return self._batching

    @property
    def steady(self) -> bool:
        """Whether it is asked image by image; else nobody knows."""
        return self._batching is not Batching.ANY

    @property
    def file(self) -> FileRuntime:
        """This one."""
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty if the file does not have them."""
        names = self._opened.class_names
        return names if len(names) == self.format.classes else ()

    def said_by(self, name: str) -> str | None:
        """Who says how images are read.

        Args:
            name: of a field of :class:`~compd.runtimes.formats.Overrides`.

        Returns:
            ``you``, ``the file``, or None where it is a default.
        """
        if getattr(self.overrides, name) is not None:
            return "you"
        told = getattr(self._opened.said, name) is not None
        # integers have a scale, and that a range
        told |= name == "range" and self.format.qparams is not None
        return "the file" if told else None

    def changed_by(self, overrides: Overrides) -> list[str]:
        """The fields that another reading would change."""
        said = {one.name: getattr(overrides, one.name) for one in fields(overrides)}
        return [
            name
            for name, value in said.items()
            if value is not None
            and hasattr(self.format, name)
            and _set(name, value) != _set(name, getattr(self.format, name))
        ]

    def read_as(self, overrides: Overrides) -> FileRuntime:
        """The same file, with what is said here of its input instead of what was said before.

        It is not opened again, which takes seconds for some, unless another output is asked for.
        """
        said = overrides.over(self.overrides)
        if said.output_name != self.overrides.output_name:
            again = FileRuntime(self.source, said, size=self._size, optimise=self._optimised)
            again.own = self.own
            return again
        other = copy.copy(self)
        other.overrides = said
        other.format = self.format.read_as(overrides)
        if overrides.output is not None:
            other.format = other.format.answering(other._output_of(self._tried()[1]))
        return other

    @property
    def head(self) -> str | None:
        """What makes probabilities of its logits; None where nobody says it."""
        said = self.overrides.output == "logits" and not self.format.single
        return "softmax" if said else self.format.answers.head

    def plain(self) -> FileRuntime | None:
        """The same file with the runtime's optimisation off; None if it cannot be told so."""
        if not self._opened.can_be_plain:
            return None
        return FileRuntime(self.source, self.overrides, size=self._size, optimise=False)

    def on_engine(self, name: str) -> FileRuntime | None:
        """The same file with other kernels; None if its runtime has none of that name."""
        if isinstance(self.source, Program) or name not in opener_of(self.source).engines:
            return None
        return FileRuntime(self.source, replace(self.overrides, engine=name), size=self._size)

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 logits (N, K).

        Raises:
            CompdError: if the runtime fails.
        """
        if len(images) == 0:
            return torch.empty(0, self.format.classes)
        x, fixed = self.format.encode(images), self.format.batch
        step = (fixed or len(x)) if self._batching is Batching.ANY else 1
        parts = []
        for start in range(0, len(x), step):
            part = x[start : start + step]
            count = len(part)
            missing = (fixed or count) - count
            if missing:
                part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            parts.append(self._call(part)[:count])
        return self.format.decode(np.concatenate(parts))

    def _tried(self) -> tuple[Batching, Tensor]:
        """How it treats several images in one call, and what it says of a few."""
        form, known = self.format, self._opened
        if known.answers is not None:
            return known.batching or Batching.ANY, known.answers

        def run(images: Tensor) -> Tensor:
            return form.numbers(self._call(form.encode(images)))

        images = probe_images(form.channels, form.height, form.width)
        found, values = batching_of(run, images, fixed=form.batch)
        return known.batching or found, values

    def _output_of(self, values: Tensor) -> Output:
        """What its numbers are, by who says it, by its last operator, and by what they are."""
        told = None if self.format.output == "logits" else self.format.output
        said = self.overrides.output or self._opened.said.output
        return output_of(values, said=said, told=told, name=self.path.name)

    def _call(self, x: NDArray[Any]) -> NDArray[Any]:
        try:
            return self._opened.call(x)
        except CompdError:
            raise
        except Exception as error:  # each runtime raises its own
            what = brief(error, 200)
            raise ModelError(
                f"expected {self.path.name!r} to take {x.dtype} {x.shape}, but "
                f"{self._opened.engine} raised {type(error).__name__}: {what}"
            ) from error


def _set(name: str, value: Any) -> Any:
    """A setting; None where it is the same as none: a mean of 0, a deviation of 1."""
    neutral = {"mean": {0.0}, "std": {1.0}}.get(name)
    return None if neutral is not None and value is not None and {*value} == neutral else value


def open_file(
    path: Path | Program | str,
    overrides: Overrides | None = None,
    *,
    size: AnySize | None = None,
) -> FileRuntime:
    """Open a model's file in the runtime that it is made for, told by its suffix.

    Args:
        path: .onnx, .tflite, .xml (OpenVINO), .pt2 (torchao), .ts, .pt or .pth (TorchScript), or
            .jsonl (outputs that were recorded elsewhere); or a program that answers in a file's
            place, as text ``cmd: ./run_on_board --port 1``, which is started.
        overrides: what the file does not say of its input and output, and whether it is trusted.
        size: height and width of images where the file leaves them open.

    Raises:
        CompdError: if it is missing, broken, unsafe, not trusted or no image classifier, or if its
            runtime is not installed.
    """
    source = path if isinstance(path, Program) else source_of(path)
    return FileRuntime(
        source, overrides or Overrides(), size=None if size is None else Size.of(size)
    )
