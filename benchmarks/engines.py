"""One shadow on PyTorch's four int8 engines: where do the engines differ from it and each other?

Answers are compared by argmax, so that exact ties of int8 logits count as differences here.

python benchmarks/engines.py
"""

from __future__ import annotations

import statistics
import time

import setup as bench

from compd.compress.int8 import ENGINES
from compd.models.inputs import predict
from compd.runtimes import FloatRuntime, Int8Runtime


def main() -> None:
    options = bench.arguments(__doc__ or "", repeats=5)
    splits = bench.splits_of(options)
    pair = bench.pair_of(options, splits, bench.QAT)
    test = splits.test()
    print(bench.machine())
    runs = {"original": pair.reference, "shadow": FloatRuntime(pair.shadow, pair.device, "shadow")}
    runs |= {engine: Int8Runtime(pair.shadow, engine) for engine in ENGINES}  # type: ignore[dict-item]
    logits = {name: predict(runtime.run, test.images) for name, runtime in runs.items()}
    rows = []
    for name, mine in logits.items():
        times = []
        for _ in range(options.repeats):
            begun = time.perf_counter()
            runs[name].run(test.images[:64])
            times.append((time.perf_counter() - begun) / 64 * 1000)
        label = mine.argmax(1)
        accuracy = float((label == test.labels).double().mean())
        differ = [f"{float((label != o.argmax(1)).double().mean()):.2%}" for o in logits.values()]
        error = float((mine - logits["shadow"]).abs().max())
        rows.append(
            (name, f"{accuracy:.2%}", *differ, f"{error:.3f}", f"{statistics.median(times):.2f}")
        )
    columns = ["model", "accuracy", *(f"differs from {name}" for name in logits)]
    columns += ["largest logit distance to the shadow", "ms an image at batch 64"]
    bench.show(f"Engines on {test.rows}", columns, rows)


if __name__ == "__main__":
    main()
