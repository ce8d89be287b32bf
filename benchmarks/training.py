"""What bfloat16 saves in training: the loop of ``compd train`` in both arithmetics, in turn.

python benchmarks/training.py
"""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from statistics import median

import setup as bench
import torch

from compd.control import Control, Progress
from compd.data import Split
from compd.models import build_zoo_model
from compd.system.machine import computes_bfloat16
from compd.training import TrainConfig, fit_


def main() -> None:
    options = bench.arguments(__doc__ or "", batches=8, rounds=3)
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    print(f"bfloat16 natively: {computes_bfloat16('cpu')}; batches of 128, from images to step")

    def head(split: Split, n: int) -> Split:
        return replace(split, images=split.images[:n], labels=split.labels[:n])

    train, watched = head(splits.train, 128 * options.batches), head(splits.selection, 8)
    rows = []
    for name in ("resnet18", "vgg11", "densenet121", "resnet20"):
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.rounds):
            for bfloat16 in times:
                model = build_zoo_model(name, classes=10, size=32)
                marks = [time.perf_counter()]

                def mark(progress: Progress, marks: list[float] = marks) -> None:
                    marks.append(time.perf_counter())

                fit_(
                    model,
                    train,
                    watched,
                    TrainConfig(epochs=1, bfloat16=bfloat16),
                    stage=name,
                    device=torch.device("cpu"),
                    control=Control(mark),
                )
                # the first steps prepare kernels, the last one measures the accuracy
                steps = [after - before for before, after in itertools.pairwise(marks)]
                times[bfloat16] += steps[2:-1]
        plain, fast = median(times[False]), median(times[True])
        hours = 45 / 3600 * len(splits.train) / 128 * fast
        rows.append((name, f"{plain:.3f}", f"{fast:.3f}", f"{plain / fast:.2f}", f"{hours:.1f} h"))
    columns = ("model", "float32, s a step", "bfloat16", "ratio", "45 epochs in bfloat16")
    bench.show("Training", columns, rows)


if __name__ == "__main__":
    main()
