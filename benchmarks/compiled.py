"""Would torch.compile pay for itself? Eager against compiled, at batch 64, with its start-up.

python benchmarks/compiled.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import setup as bench
import torch
from torch import Tensor, nn

from compd.models.inputs import to_input


def forward(model: nn.Module, images: Tensor) -> None:
    with torch.inference_mode():
        model(to_input(images))


def gradient(model: nn.Module, images: Tensor) -> None:
    x = to_input(images).requires_grad_()
    torch.autograd.grad(model(x).amax(1).sum(), x)


def ms(call: Callable[[nn.Module, Tensor], None], model: nn.Module, images: Tensor) -> float:
    """Median milliseconds an image."""
    times = []
    for _ in range(12):
        begun = time.perf_counter()
        call(model, images)
        times.append(time.perf_counter() - begun)
    return 1000 * median(times[2:]) / len(images)


def main() -> None:
    options = bench.arguments(__doc__ or "")
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    pair = bench.pair_of(options, splits, bench.QAT)
    images = splits.seeds.images[:64]
    rows = []
    for name, model in (("original", pair.original), ("shadow", pair.shadow)):
        for what, call in (("forward", forward), ("forward and gradient", gradient)):
            compiled = torch.compile(model)
            begun = time.perf_counter()
            call(compiled, images)
            startup = time.perf_counter() - begun
            eager, fast = ms(call, model, images), ms(call, compiled, images)
            saved = eager - fast
            pays = f"{1000 * startup / saved:.0f}" if saved > 0 else "never"
            rows.append((name, what, f"{eager:.2f}", f"{fast:.2f}", f"{startup:.1f} s", pays))
    columns = ("model", "call", "eager, ms an image", "compiled", "start-up", "pays after images")
    bench.show("torch.compile", columns, rows)


if __name__ == "__main__":
    main()
