"""What the benchmarks share: their arguments, the pairs, and how tables are printed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

from compd.cli.display import live
from compd.compress import Compression, Prune, Qat
from compd.data import Splits, load_data
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.system import prepare
from compd.system.machine import cpu_count, cpu_flags

# ResNet-20 loses much to 75 % sparsity: it needs a longer fine-tuning than a wide network.
QAT = Qat()
PRUNED = Prune(epochs=14, lr=0.05, batch=128)


def arguments(description: str, **extra: object) -> argparse.Namespace:
    """Parse the arguments that all benchmarks take, and ``extra`` ones with their defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default="../shared/data/cifar10")
    parser.add_argument("--weights", default="../shared/data/weights/resnet20-cifar10.safetensors")
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--width", type=int)
    parser.add_argument("--threads", type=int, default=cpu_count())
    for name, default in extra.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = parser.parse_args()
    prepare(options.threads)
    return options


def machine() -> str:
    """One line on where the figures come from."""
    return (
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()} ({' '.join(cpu_flags())})"
    )


def splits_of(options: argparse.Namespace) -> Splits:
    """Open the data."""
    return Splits(load_data(options.data))


def pair_of(
    options: argparse.Namespace, splits: Splits, compress: Compression, engine: str | None = None
) -> Pair:
    """Build a pair, or load its parts from the cache."""
    with live() as control:
        return build_pair(
            options.model,
            data=splits,
            weights=options.weights or None,
            width=options.width,
            compress=compress,
            engine=engine,
            device="cpu",
            control=control,
        )


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as Markdown, ready for a page in ``docs/benchmarks``."""
    print(f"\n{title}\n")
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join("---" for _ in columns) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    sys.stdout.flush()
