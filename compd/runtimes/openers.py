"""What opens a model's file, by its suffix, and what is known of it then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compd.errors import InputError, ModelError, SettingError, brief
from compd.files.programs import Program
from compd.registry import Plugins
from compd.runtimes.base import Census
from compd.runtimes.batching import Batching
from compd.runtimes.formats import InputFormat, Overrides
from compd.sizes import Size
from compd.wording import setting

__all__ = [
    "KERNELS",
    "OPENERS",
    "Opened",
    "Opener",
    "check_source",
    "opened",
    "opener_of",
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
    path, opener = source, opener_of(source)
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


def opener_of(path: Path) -> Opener:
    """What opens a file; raises if nothing does."""
    suffix = path.suffix.lower()
    if suffix not in OPENERS:
        raise InputError(
            f"expected a model's file ({', '.join(sorted(OPENERS))}), got {str(path)!r}"
        )
    return OPENERS[suffix]


def opened(
    source: Path | Program, overrides: Overrides, size: Size | None, optimise: bool
) -> Opened:
    """Open a file, or start a program.

    Args:
        source: which.
        overrides: what is said of its input and output.
        size: height and width where it leaves them open.
        optimise: whether its runtime may rewrite the graph.
    """
    made: Opened
    if isinstance(source, Program):
        made = import_module("compd.runtimes.bridge").open_program(source, overrides)
        return made
    path, open_model = source, opener_of(source).open
    if isinstance(open_model, str):
        open_model = import_module(open_model).open_model
    made = open_model(path, overrides, size, optimise)
    return made
