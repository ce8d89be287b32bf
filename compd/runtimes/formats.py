"""How an artifact takes images and gives its answers, and how ours are turned into that.

Everywhere else an image is uint8 (N, C, H, W), RGB, and an answer is logits. A file may want
NHWC, BGR, 0 to 255, a normalisation that is not part of it, or integers with a scale of their own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compd.errors import SettingError, unknown
from compd.runtimes.outputs import OUTPUTS, Output
from compd.sizes import Size
from compd.wording import setting

__all__ = [
    "LAYOUTS",
    "InputFormat",
    "Overrides",
    "QParams",
    "format_of",
    "image_shape",
    "range_of",
]

LAYOUTS = ("NCHW", "NHWC")

_INTEGERS = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 65535),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
_FLOATS = ("float32", "float16", "float64")
# Ranges of pixels that quantised inputs are usually made for.
_FAR = 0.25  # from a usual range, in parts of it
_USUAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
# Keys of a format in fingerprints.
_KEYS = {"qparams": "grid", "output_qparams": "output_grid"}


@dataclass(frozen=True)
class QParams:
    """What the integers of a quantised tensor stand for: ``scale * (q - zero_point)``."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Overrides:
    """What the user says of a file's input and output; None where the file is to say it.

    Raises:
        CompdError: if a value makes no sense.
    """

    layout: str | None = None
    range: tuple[float, float] | None = None  # what the levels 0 and 255 become
    mean: tuple[float, ...] | None = None  # subtracted after that, per channel of RGB
    std: tuple[float, ...] | None = None
    bgr: bool | None = None
    output: str | None = None
    trust: bool | None = None  # the file may run code while it is opened
    output_name: str | None = None  # which output has the scores, of a file with several
    engine: str | None = None  # whose kernels answer, where a runtime has several
    deadline: float | None = None  # seconds that a program may take for a frame
    start_deadline: float | None = None  # seconds until its first line

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout not in LAYOUTS:
            raise unknown("layout", self.layout, LAYOUTS)
        if self.output is not None and self.output not in OUTPUTS:
            raise unknown("output", self.output, OUTPUTS)
        if self.range is not None and (len(self.range) != 2 or self.range[0] == self.range[1]):
            raise SettingError("range as two different numbers (0,255)", range=self.range)
        if self.std is not None and not all(value > 0 for value in self.std):
            raise SettingError("positive numbers", std=self.std)
        for name in ("deadline", "start_deadline"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 < seconds < math.inf:
                raise SettingError("a positive number of seconds", **{name: seconds})

    def over(self, other: Overrides) -> Overrides:
        """This overrides, and where it says nothing the other one."""
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(other, **{key: value for key, value in mine.items() if value is not None})


@dataclass(frozen=True)
class InputFormat:
    """How an artifact takes images and answers.

    Raises:
        CompdError: if a value makes no sense.
    """

    channels: int
    height: int
    width: int
    classes: int
    layout: str = "NCHW"
    dtype: str = "float32"  # of the input tensor
    qparams: QParams | None = None  # of an integer input; None: the numbers themselves
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    bgr: bool = False
    batch: int | None = None  # images a call if the file fixes that
    output: str = "logits"  # or "probs", "sigmoid"
    output_qparams: QParams | None = None
    single: bool = False  # one number for two classes
    raw: bool = False  # logits of sigmoids

    def __post_init__(self) -> None:
        if self.dtype not in (*_INTEGERS, *_FLOATS):
            raise unknown("type of the input", self.dtype, (*_INTEGERS, *_FLOATS))
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) not in (1, self.channels):
                raise SettingError(
                    f"expected one number or {self.channels} (one a channel) for {name}, got "
                    f"{name}={','.join(map(str, values))}"
                )
        if self.classes < 2:
            raise SettingError("an output of at least two classes", classes=self.classes)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; its keys are older than the names here."""
        content = {key: value for key, value in asdict(self).items() if value is not False}
        content["bgr"] = self.bgr
        return {_KEYS.get(key, key): value for key, value in content.items()}

    @property
    def answers(self) -> Output:
        """What its numbers are."""
        return Output(self.output, self.single, self.raw)

    def answering(self, output: Output) -> InputFormat:
        """The same, with this as what its numbers are."""
        return replace(self, output=output.kind, single=output.single, raw=output.raw)

    def read_as(self, overrides: Overrides) -> InputFormat:
        """The same file, with what is said here instead of what was said before."""
        said = {
            "layout": overrides.layout,
            "range": overrides.range,
            "mean": overrides.mean,
            "std": overrides.std,
            "bgr": overrides.bgr,
            "output": overrides.output,
        }
        return replace(self, **{key: value for key, value in said.items() if value is not None})  # type: ignore[arg-type]

    @property
    def of_levels(self) -> bool:
        """Whether its integers are the levels of pixels, so that a normalisation is inside."""
        if self.dtype not in _INTEGERS:
            return False
        return self.qparams is None or range_of(self.dtype, self.qparams) not in _USUAL_RANGES

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the input, with a batch of one image if the file leaves that open."""
        sides = (self.height, self.width)
        one = (self.channels, *sides) if self.layout == "NCHW" else (*sides, self.channels)
        return self.batch or 1, one[0], one[1], one[2]

    @property
    def size(self) -> Size:
        """Height and width; zeros where any will do."""
        return Size(self.height, self.width)

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation, one number a channel, in the file's order."""
        both = []
        for values, default in ((self.mean, 0.0), (self.std, 1.0)):
            each = values or (default,)
            each = each * self.channels if len(each) == 1 else each
            both.append(each[::-1] if self.bgr else each)
        return both[0], both[1]

    def describe(self) -> str:
        """For people: ``float32 NCHW, RGB, 0..1, mean 0.5 std 0.25 -> logits``."""
        low, high = self.range
        parts = [f"{self.dtype} {self.layout}", "BGR" if self.bgr else "RGB", f"{low:g}..{high:g}"]
        if self.channels == 1:
            parts[1] = "grey"
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None:
                parts.append(f"{name} {','.join(f'{v:g}' for v in values)}")
        if self.qparams is not None:
            parts.append(f"scale {self.qparams.scale:g}, zero point {self.qparams.zero_point}")
        size = f"{self.channels} x {self.height} x {self.width}"
        batch = "" if self.batch is None else f", batch {self.batch}"
        return f"{size}, {', '.join(parts)}{batch} -> {self.answers.describe(self.classes)}"

    def encode(self, images: Tensor) -> NDArray[Any]:
        """Turn uint8 (N, C, H, W), RGB, into the file's input."""
        low, high = self.range
        x = images.numpy()
        if self.bgr:
            x = x[:, ::-1]
        if self.dtype == "uint8" and self._takes_levels():
            return np.ascontiguousarray(self._laid_out(x))
        # to the bit as applications do it: x / 255, x / 127.5 - 1
        x = x.astype(np.float32) / np.float32(255 / (high - low)) + np.float32(low)
        if self.mean is not None or self.std is not None:
            mean, std = (np.array(v, np.float32).reshape(1, -1, 1, 1) for v in self.normalisation)
            x = (x - mean) / std
        if self.dtype in _INTEGERS:
            qparams = self.qparams or QParams(1.0, 0)
            # as the runtimes' own quantisers: half to even, then cut off
            x = np.rint(x / np.float32(qparams.scale)) + qparams.zero_point
            x = np.clip(x, *_INTEGERS[self.dtype])
        return np.ascontiguousarray(self._laid_out(x).astype(self.dtype))

    def decode(self, answers: NDArray[Any]) -> Tensor:
        """Turn the file's output into float32 logits (N, K).

        Raises:
            CompdError: if the output has another shape.
        """
        numbers = 1 if self.single else self.classes
        values = self.numbers(answers)
        if values.shape[1] != numbers:
            raise SettingError(
                f"expected an output of {numbers} numbers an image, got shape {answers.shape}"
            )
        return self.answers.logits(values, "a file")

    def numbers(self, answers: NDArray[Any]) -> Tensor:
        """The file's output as real numbers: float32 (N, K)."""
        flat = np.ascontiguousarray(answers.reshape(len(answers), -1))
        values = torch.from_numpy(flat.astype(np.float32))
        if self.output_qparams is not None:
            values = (values - self.output_qparams.zero_point) * self.output_qparams.scale
        return values

    def _takes_levels(self) -> bool:
        """Whether the integers of the input are the 256 levels themselves."""
        (low, high), qparams = self.range, self.qparams or QParams(1.0, 0)
        exact = (
            abs((high - low) / 255 / qparams.scale - 1) < 1e-4 and low == 0 == qparams.zero_point
        )
        return exact and self.mean is None and self.std is None

    def _laid_out(self, x: NDArray[Any]) -> NDArray[Any]:
        return x.transpose(0, 2, 3, 1) if self.layout == "NHWC" else x


def format_of(
    shape: tuple[int | None, ...],
    dtype: str,
    overrides: Overrides,
    *,
    size: Size | None,
    name: str,
    output: str,
    qparams: QParams | None = None,
    output_qparams: QParams | None = None,
) -> InputFormat:
    """How a file takes images and answers; the number of classes is not known yet.

    Args:
        shape: of the input with its batch; None for what the file leaves open.
        dtype: of the input.
        overrides: what the user says, before what the file says.
        size: height and width where the file leaves them open.
        name: of the file, for messages.
        output: ``logits``, ``probs`` or ``sigmoid``, as the file tells.
        qparams: of an integer input.
        output_qparams: of an integer output.

    Raises:
        CompdError: if the input is no image's, or could be either layout.
    """
    layout, channels, height, width = image_shape(shape, overrides.layout, size, name)
    return InputFormat(
        channels=channels,
        height=height,
        width=width,
        classes=2,
        layout=layout,
        dtype=dtype,
        qparams=qparams,
        range=overrides.range or _range_with(overrides, range_of(dtype, qparams)),
        mean=overrides.mean,
        std=overrides.std,
        bgr=bool(overrides.bgr),
        batch=shape[0],
        output=output,
        output_qparams=output_qparams,
    )


def _range_with(overrides: Overrides, found: tuple[float, float]) -> tuple[float, float]:
    """The range in front of a normalisation that the user says; that of an input may have it."""
    said = overrides.mean is not None or overrides.std is not None
    return (0.0, 1.0) if said and found not in (*_USUAL_RANGES, (-128.0, 127.0)) else found


def image_shape(
    shape: tuple[int | None, ...], layout: str | None, size: Size | None, name: str
) -> tuple[str, int, int, int]:
    """Tell layout, channels, height and width from the shape of an input.

    Args:
        shape: of the input with its batch; None for what the file leaves open.
        layout: what the user says.
        size: height and width where the file leaves them open.
        name: of the file, for messages.

    Raises:
        CompdError: if it is no image's, or could be either layout.
    """
    if len(shape) != 4:
        raise SettingError(
            f"expected an image input with four dimensions in {name!r}, got shape {_text(shape)}"
        )
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if layout is None:
        if first == last:
            raise SettingError(
                f"expected 1 or 3 channels, first or last, in the input of {name!r}, got shape "
                f"{_text(shape)}, which does not tell; pass "
                f"{setting('layout', 'NCHW')} or {setting('layout', 'NHWC')}"
            )
        layout = "NCHW" if first else "NHWC"
    channels, height, width = (
        (shape[1], shape[2], shape[3]) if layout == "NCHW" else (shape[3], shape[1], shape[2])
    )
    channels = 3 if channels is None else channels
    height = height or (size.height if size else None)
    width = width or (size.width if size else None)
    if height is None or width is None:
        raise SettingError(
            f"expected {setting('size')}, since {name!r} takes images of any size, got shape "
            f"{_text(shape)}"
        )
    if channels not in (1, 3):
        raise SettingError(
            f"expected images with 1 or 3 channels in {name!r}, got shape {_text(shape)} read as "
            f"{layout}; is {setting('layout')} right?"
        )
    return layout, channels, height, width


def range_of(dtype: str, qparams: QParams | None) -> tuple[float, float]:
    """The range of pixels that an input is most likely made for, from its type and its qparams.

    The usual one that the qparams covers best; what the qparams says is no more than that. Where it
    is far from all of them, a normalisation is in it, and its integers are the levels.
    """
    if dtype not in _INTEGERS:
        return (0.0, 1.0)
    low, high = _INTEGERS[dtype]
    if qparams is None:  # the levels themselves, or these with 128 taken off
        return (-128.0, 127.0) if dtype == "int8" else (0.0, 255.0)
    ends = np.array([(q - qparams.zero_point) * qparams.scale for q in (low, high)])
    apart = [
        float(np.abs(ends - np.array(usual)).max() / (usual[1] - usual[0]))
        for usual in _USUAL_RANGES
    ]
    if min(apart) > _FAR:
        return float(ends[0]), float(ends[1])
    return _USUAL_RANGES[int(np.argmin(apart))]


def _text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"
