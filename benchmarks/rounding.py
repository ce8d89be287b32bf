"""A gradient of the shadow with PyTorch's rounding of activations and with ours, in turn.

python benchmarks/rounding.py
"""

from __future__ import annotations

import copy
import time
from statistics import median

import setup as bench
import torch
from torch import Tensor, nn
from torch.ao.quantization.fake_quantize import FakeQuantize

from compd.compress import Qat, empty_shadow
from compd.compress.int8 import calibrated
from compd.compress.quantiser import Quantiser
from compd.models import build_zoo_model
from compd.models.inputs import to_input


def main() -> None:
    options = bench.arguments(__doc__ or "", batch=64, rounds=15)
    print(bench.machine(), flush=True)
    images = torch.randint(256, (options.batch, 3, 32, 32), dtype=torch.uint8)
    rows = []
    for name, width in (("resnet18", 16), ("resnet18", 64), ("resnet20", 16)):
        original = build_zoo_model(name, classes=10, size=32, width=width).eval()
        empty = empty_shadow(Qat(), original, to_input(images[:1]))
        shadow = calibrated(empty, images).requires_grad_(False)
        x = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        both = {"PyTorch's": _with_pytorchs(shadow), "ours": shadow}
        gradients = {which: _gradient(module, x) for which, module in both.items()}
        same = torch.equal(*gradients.values())
        times: dict[str, list[float]] = {which: [] for which in both}
        for _ in range(options.rounds):
            for which, module in both.items():
                begun = time.perf_counter()
                _gradient(module, x)
                times[which].append((time.perf_counter() - begun) * 1e3)
        pytorchs, ours = (median(times[which]) for which in both)
        rows.append((name, width, f"{pytorchs:.0f}", f"{ours:.0f}", f"{pytorchs / ours:.2f}", same))
    columns = ("model", "width", "PyTorch's, ms", "ours, ms", "ratio", "the same gradient")
    bench.show(f"A gradient of {options.batch} images", columns, rows)


def _with_pytorchs(shadow: nn.Module) -> nn.Module:
    copied: nn.Module = copy.deepcopy(shadow)
    for module in copied.modules():
        if isinstance(module, Quantiser):
            object.__setattr__(module, "__class__", FakeQuantize)
    return copied


def _gradient(module: nn.Module, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(module(x).amax(1).sum(), x)
    return gradient


if __name__ == "__main__":
    main()
