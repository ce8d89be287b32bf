"""Options that several commands share, and how they become library arguments.

Nothing here imports torch: ``compd --help`` has to come at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compd.errors import SettingError
from compd.wording import setting

__all__ = [
    "ActivationBits",
    "AllowFloat",
    "Amount",
    "BaselineFile",
    "Batch",
    "Bgr",
    "Channels",
    "CompressKind",
    "CorpusDir",
    "Crop",
    "Data",
    "Deployed",
    "DeployedInput",
    "Device",
    "Engine",
    "Epochs",
    "FineTuneEpochs",
    "FineTuneLr",
    "JsonFile",
    "Labels",
    "LabelsOffset",
    "Layout",
    "Mean",
    "Model",
    "Original",
    "Output",
    "PageFile",
    "PairDir",
    "Range",
    "Resize",
    "SearchEps",
    "SearchGoal",
    "SearchNorm",
    "SearchStrategy",
    "Size",
    "Std",
    "Student",
    "StudentWidth",
    "Threads",
    "Trust",
    "WeightBits",
    "Weights",
    "Width",
    "check_batch",
    "floats",
    "levels",
]

_ROUNDED = 0.05  # levels of 255: more than what a share loses that is cut after four digits

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="vgg11, resnet18, densenet121, resnet20, lenet5, lenet1, nin, or "
        "pkg.module:factory. Default: resnet18.",
    ),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="Weights of the original (.safetensors, .pt).")
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="digits, an image folder, parquet files (folder or glob), or a Hugging Face name. "
        "Default: digits.",
    ),
]
Width = Annotated[int | None, typer.Option("--width", help="Base channels of a zoo model.")]
Channels = Annotated[int, typer.Option("--channels", help="3 for RGB, 1 for grey.")]
Size = Annotated[
    str | None,
    typer.Option("--size", help="Scale images to this size: 224, or 96x192 (height x width)."),
]
Resize = Annotated[
    str | None,
    typer.Option(
        "--resize",
        help="How images of another aspect ratio are scaled: stretch, crop (the centre) or pad "
        "(black). Default: stretch.",
    ),
]
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        help="224/256: scale to 256/224 of the size, and take its centre; says --resize crop.",
    ),
]
Mean = Annotated[
    str | None, typer.Option("--mean", help="Normalisation in front, such as 0.49,0.48,0.45.")
]
Std = Annotated[str | None, typer.Option("--std", help="The same for the standard deviation.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Epochs of training the original.")]
CompressKind = Annotated[
    str | None,
    typer.Option(
        "--compress",
        help="qat, ptq, prune or distil. Default: qat; of fuzz: qat,prune, one by one.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        "--ep",
        help="int8 engine: x86, fbgemm, onednn or qnnpack. Default: x86. Of a deployed .tflite: "
        "xnnpack, builtin, reference or micro; of an .onnx: an execution provider (cuda).",
    ),
]
WeightBits = Annotated[
    int | None, typer.Option("--weight-bits", help="8 or 7; ptq: down to 4 (simulated below 7).")
]
ActivationBits = Annotated[
    int | None,
    typer.Option(
        "--activation-bits",
        help="7, PyTorch's default for x86, or 8: nearer to the original, and no kernel overflows.",
    ),
]
Amount = Annotated[
    float | None, typer.Option("--amount", help="prune: share of weights removed, 0.75.")
]
FineTuneEpochs = Annotated[
    int | None, typer.Option("--fine-tune-epochs", help="qat, prune, distil: epochs of it.")
]
FineTuneLr = Annotated[
    float | None, typer.Option("--fine-tune-lr", help="qat, prune, distil: peak learning rate.")
]
Student = Annotated[
    str | None,
    typer.Option(
        "--student",
        help="distil: the smaller network, of the zoo or pkg.module:factory. Default: resnet20.",
    ),
]
StudentWidth = Annotated[
    int | None,
    typer.Option(
        "--student-width",
        help="distil: base channels of a student of the zoo. Default: such that it has at most "
        "half of the original's weights.",
    ),
]
PairDir = Annotated[
    Path | None, typer.Option("--pair", help="A pair's directory, from: compd compress --out DIR.")
]
CorpusDir = Annotated[Path | None, typer.Option("--corpus", help="The corpus's directory.")]
BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", help="Default: baseline.txt in the corpus's folder.")
]
# of a gate and of a hunt, where what is left out is the corpus's own
SearchStrategy = Annotated[
    str | None, typer.Option("--strategy", help="As of compd fuzz. Default: the corpus's own.")
]
SearchGoal = Annotated[
    str | None, typer.Option("--goal", help="first or severe. Default: the corpus's own.")
]
SearchEps = Annotated[
    str | None,
    typer.Option("--eps", help="Bound: 8 or 8/255 levels, 0.03, or none. Default: the corpus's."),
]
SearchNorm = Annotated[
    str | None, typer.Option("--norm", help="linf or l2. Default: the corpus's own.")
]
PageFile = Annotated[Path | None, typer.Option("--report", help="Also write an HTML page of it.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON.")]
Original = Annotated[
    Path | None,
    typer.Option("--original", help="The float model's file (.onnx, .tflite, .xml), not of a zoo."),
]
Deployed = Annotated[
    str | None,
    typer.Option(
        "--deployed",
        path_type=str,  # so a shell completes it
        help="The file that ships: .onnx, .tflite, .xml, .pt2, .ts or .pt (TorchScript), or .jsonl "
        "of recorded outputs; or 'cmd: PROGRAM …', which answers for a device. With "
        "--original, or instead of the deployed model of --pair or --model.",
    ),
]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="Text file: one class name a line, in order.")
]
LabelsOffset = Annotated[
    int | None,
    typer.Option(
        "--labels-offset",
        help="The model's class that is the data's first: 1 where one for the background is before "
        "it.",
    ),
]
Layout = Annotated[
    str | None, typer.Option("--layout", help="NCHW or NHWC, where a file does not tell.")
]
Range = Annotated[
    str | None, typer.Option("--range", help="What levels 0 and 255 become: 0,1; 0,255; or -1,1.")
]
Bgr = Annotated[bool, typer.Option("--bgr", help="The files take blue first.")]
Output = Annotated[
    str | None, typer.Option("--output", help="logits or probs, where a file does not tell.")
]
OutputName = Annotated[
    str | None, typer.Option("--output-name", help="Which output has the scores, of several.")
]
DeployedInput = Annotated[
    str | None,
    typer.Option(
        "--deployed-input",
        help="What holds for the deployed file alone: 'layout=NHWC range=-1,1 bgr'; for a program, "
        "the seconds it may take: 'deadline=60 start-deadline=60'.",
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Open what can run code: .pt2 and TorchScript files, a pair or corpus of a factory's "
        "model.",
    ),
]
AllowFloat = Annotated[
    bool, typer.Option("--allow-float", help="The deployed file is meant to be float32.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, …")]
Threads = Annotated[
    int | None, typer.Option("--threads", help="CPU threads. Default: all that we may use.")
]
Batch = Annotated[int | None, typer.Option("--batch", help="Images a batch.")]


def check_batch(number: int | None) -> None:
    """Raise, before a pair is built, unless a number of images a call makes sense."""
    if number is not None and number < 1:
        raise SettingError("at least one image a batch", batch=number)


def levels(text: str | None, *, unbounded: int | None = 255) -> int | None:
    """Parse a bound: ``8`` (levels of 255), ``8/255``, a share such as ``0.03``, or ``none``.

    Args:
        text: as it was typed; None stays None.
        unbounded: what ``none`` is.

    Returns:
        Levels of 255. Of a share it is the largest number within it: 0.03 is 7/255. Shares may be
        cut after four digits: 0.0156 is 4/255.
    """
    if text is None:
        return None
    if text.strip().lower() == "none":
        return unbounded
    try:
        return _levels(text)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise SettingError(
            f"{setting('eps')} in levels (8 or 8/255), as a share (0.03), or none", eps=text
        ) from error


def _levels(text: str) -> int:
    before, slash, after = text.partition("/")
    if slash:
        of = int(after)
        if of != 255:
            raise ValueError
        return int(before)
    if "." not in text and "e" not in text.lower():
        return int(text)
    share = float(text)
    found = int(share * 255 + _ROUNDED)
    if not 0 <= share <= 1 or not found:
        raise ValueError
    return found


def floats(text: str | None, name: str) -> tuple[float, ...] | None:
    """Parse ``0.49,0.48,0.45``."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingError(
            f"expected {name} as numbers with commas (0.49,0.48,0.45), got {name}={text!r}"
        ) from error
