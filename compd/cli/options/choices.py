"""Values that a shell completes.

They are named here once more, because completing has to come without importing torch; a test
compares them with those of the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

__all__ = ["TARGETS", "VALUES", "completing"]

_STRATEGIES = ("boundary", "compd", "diva", "pgd", "blackbox", "dflare", "shift")
TARGETS = (
    "onnx",
    "onnx-qdq",
    "onnx-ptq",
    "openvino",
    "openvino-ptq",
    "litert",
    "litert-float16",
    "litert-int8",
    "litert-ptq",
    "coreml-float16",
    "coreml-linear8",
    "coreml-palette8",
    "torchao",
    "safetensors",
)


# option, or command and option where commands differ -> what it can be
VALUES: Mapping[str, tuple[str, ...]] = {
    "--accuracy": ("sample", "full"),
    "--compress": ("prune", "ptq", "qat", "distil"),
    "--coverage": ("none", "neuron"),
    "--engine": (
        *("x86", "fbgemm", "onednn", "qnnpack"),
        *("xnnpack", "builtin", "reference", "micro"),
    ),
    "--goal": ("first", "severe"),
    "--known-by": ("image", "seed"),
    "--layout": ("NCHW", "NHWC"),
    "--method": ("walk", "distil", "paper"),
    "--model": ("vgg11", "resnet18", "densenet121", "resnet20", "lenet5", "lenet1", "nin"),
    "--norm": ("linf", "l2"),
    "--output": ("logits", "probs"),
    "--resize": ("stretch", "crop", "pad"),
    "--strategy": _STRATEGIES,
    "--student": ("vgg11", "resnet18", "densenet121", "resnet20", "lenet5", "lenet1", "nin"),
    "--to": TARGETS,
    "fuzz --keep": ("effective", "valid"),
    "train --strategy": ("standard", "adversarial", "mixup", "smoothing"),
    "minimise --keep": ("kinds", "distinct"),
}


def completing(command: str, option: str) -> Callable[[str], list[str]] | None:
    """What completes an option's value, from what is typed of it; None where it can be anything."""
    names = VALUES.get(f"{command} {option}") or VALUES.get(option)
    if names is None:
        return None
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]
