"""Files made by somebody's toolchain, each run by the runtime that it is made for."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compd.errors import CompdError, InputError, ModelError, SettingError, brief
from compd.files.programs import Program, source_of
from compd.registry import Plugins
from compd.runtimes.base import Census, Runtime
from compd.runtimes.batching import Batching, batching_of, probe_images
from compd.runtimes.formats import InputFormat, Overrides
from compd.runtimes.outputs import Output, output_of
from compd.sizes import AnySize, Size
from compd.wording import setting

__all__ = [
    "OPENERS",
    "Census",
    "FileRuntime",
    "Opened",
    "Opener",
    "check_source",
    "open_file",
    "sha256_of",
    "with_classes",
]

# Larger ones are no networks that int8 makes sense for.
MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class Opened:
    """What an opener knows of a file."""

    engine: str  # the runtime and where it runs: "onnxruntime-cpu"
    format: InputFormat
    call: Callable[[NDArray[Any]], NDArray[Any]]  # the file's input -> its output, a batch each
    content_hash: str
    facts: Mapping[str, Any]  # what else can change an answer: version, threads, optimisation
    census: Census | Callable[[], Census]  # a function where it takes time to learn
    class_names: tuple[str, ...] = ()  # if the file has them
    said: Overrides = field(default_factory=Overrides)  # what the file itself says of its input
    # Whether the runtime can be told to leave the graph as it is.
    can_be_plain: bool = True
    # How it treats several images in one call, where that is known; else it is tried.
    batching: Batching | None = None
    answers: Tensor | None = None  # to some images, of what cannot be asked about others
    compressed: tuple[str, ...] | None = None  # as of a Runtime


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
        self._opened = _opened(source, overrides, size, optimise)
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
        if isinstance(self.source, Program) or name not in _opener(self.source).engines:
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


@dataclass(frozen=True)
class Opener:
    """What opens files of one suffix."""

    # (path, what is said of its input, size where it leaves that open, whether the runtime may
    # optimise) -> what is known of it; or the module that has it as ``open_model``, which is
    # imported, with its runtime, when it is used
    open: Callable[[Path, Overrides, Size | None, bool], Opened] | str
    runs_code: bool = False  # whether the runtime may run code that is in a file while it loads it
    engines: tuple[str, ...] = ()  # whose kernels it can be told to answer with


# Of LiteRT: its delegate, its own optimised kernels, its reference ones, and the interpreter of
# microcontrollers.
KERNELS = ("xnnpack", "builtin", "reference", "micro")
# Execution providers of ONNX Runtime, in short; their whole names are engines, too.
PROVIDERS = ("cpu", "cuda", "tensorrt", "rocm", "coreml", "dml", "openvino", "xnnpack", "qnn")

# By the suffix of their files. Adding a runtime is one file and one line here; from another
# package, an entry point of the group ``compd.runtimes`` or a call of :func:`compd.register`.
OPENERS: Plugins[Opener] = Plugins(
    "runtime",
    {
        ".onnx": Opener("compd.runtimes.onnx", engines=PROVIDERS),
        ".tflite": Opener("compd.runtimes.litert", engines=KERNELS),
        ".xml": Opener("compd.runtimes.openvino"),
        ".pt2": Opener("compd.runtimes.torchao", runs_code=True),
        **dict.fromkeys(
            (".ts", ".pt", ".pth"), Opener("compd.runtimes.torchscript", runs_code=True)
        ),
        ".jsonl": Opener("compd.runtimes.recorded"),
    },
    kind=Opener,
    group="compd.runtimes",
)


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


def check_source(source: Path | Program, overrides: Overrides) -> None:
    """Raise unless there is a file of a sensible size that some runtime knows and may open.

    A program need only be there: who names one has said that it is to run.

    Raises:
        CompdError: also if it can run code and the user did not say that it is trusted.
    """
    if isinstance(source, Program):
        if overrides.engine is not None:
            raise SettingError(
                f"expected {setting('engine')} with a file, got it with a program, which computes "
                "as it does; leave it out"
            )
        source.check()
        return
    path, opener = source, _opener(source)
    if not path.is_file():
        raise ModelError(f"expected a model's file, got {str(path)!r} (there is none)")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise ModelError(
            f"expected a model's file of 1 byte to {MAX_BYTES >> 30} GiB, got {str(path)!r} with "
            f"{size} bytes"
        )
    own, wanted = opener.engines, overrides.engine
    if wanted is not None and wanted not in own and not wanted.endswith("ExecutionProvider"):
        kinds = ", ".join(own) or "none"
        raise SettingError(
            f"expected an engine of {path.suffix} files ({kinds}), got {setting('engine', wanted)}"
        )
    if opener.runs_code and not overrides.trust:
        raise SettingError(
            f"expected {setting('trust', True)} for {str(path)!r}, since loading it can run code; "
            "pass it if you know who made the file"
        )


def sha256_of(*paths: Path) -> str:
    """SHA-256 (hex) of a file; of several, that of their hashes."""
    hashes = []
    for path in paths:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def with_classes(
    form: InputFormat, call: Callable[[NDArray[Any]], NDArray[Any]], name: str
) -> InputFormat:
    """Ask a file about an image, and learn the number of classes from its answer.

    Args:
        form: how the file takes images; its number of classes is not known yet.
        call: runs the file.
        name: of the file, for messages.

    Raises:
        CompdError: if the file does not run, or its answer is not one number a class.
    """
    shape = (form.batch or 1, form.channels, form.height, form.width)
    try:
        answer = np.asarray(call(form.encode(torch.full(shape, 128, dtype=torch.uint8))))
    except Exception as error:  # each runtime raises its own
        raise ModelError(
            f"expected {name!r} to take images {shape} as {form.layout} {form.dtype}, but it "
            f"raised {type(error).__name__}: {brief(error)}"
        ) from error
    if answer.ndim == 1 and len(answer) == shape[0] and answer.dtype.kind == "f":
        answer = answer[:, None]
    if answer.ndim < 2 or len(answer) != shape[0] or answer[0].size != max(answer.shape[1:]):
        raise ModelError(
            f"expected one number a class from {name!r}, got an output of shape {answer.shape}; "
            "compd tests classifiers"
        )
    if answer.dtype.kind != "f" and form.output_qparams is None:
        what = "labels" if answer[0].size == 1 else f"{answer.dtype} without a scale"
        raise ModelError(
            f"expected one real number a class from {name!r}, got {what}; export the model with "
            "its scores as floats, and without an ArgMax behind them"
        )
    return replace(form, classes=max(2, int(answer[0].size)))


def _opener(path: Path) -> Opener:
    suffix = path.suffix.lower()
    if suffix not in OPENERS:
        raise InputError(
            f"expected a model's file ({', '.join(sorted(OPENERS))}), got {str(path)!r}"
        )
    return OPENERS[suffix]


def _opened(
    source: Path | Program, overrides: Overrides, size: Size | None, optimise: bool
) -> Opened:
    opened: Opened
    if isinstance(source, Program):
        opened = import_module("compd.runtimes.bridge").open_program(source, overrides)
        return opened
    path, open_model = source, _opener(source).open
    if isinstance(open_model, str):
        open_model = import_module(open_model).open_model
    opened = open_model(path, overrides, size, optimise)
    return opened
