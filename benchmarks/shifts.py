"""What shifting costs, and whether the generators are right.

The cost is the most of a kind's default levels, in milliseconds an image: 500 images of 32 pixels
(rows of the test set where there is one, else random), and 8 of 224 pixels. The accuracies are
those of the original alone on the first test rows, beside the ones that independent generators
reached.

    python benchmarks/shifts.py --data ../shared/data/cifar10
"""

from __future__ import annotations

import time
from pathlib import Path

import setup as bench
import torch
from torch import Tensor, nn

from compd.data import Splits
from compd.pair.original import prepare_original
from compd.shifts import SHIFTS, Shift, apply_shift

REFERENCE = {  # accuracy in percent at severities 1, 3 and 5
    "gaussian_noise": (72, 35, 24),
    "shot_noise": (81, 48, 30),
    "impulse_noise": (81, 56, 23),
    "gaussian_blur": (92, 72, 40),
    "contrast": (91, 80, 28),
    "pixelate": (89, 76, 41),
    "jpeg_compression": (84, 75, 71),
}
WITHIN = 3  # points
MOST_SMALL, MOST_LARGE = 1.0, 40.0  # ms an image


def cost(name: str, images: Tensor) -> float:
    """Milliseconds an image at the most costly of the default levels."""
    if images.shape[1] not in SHIFTS[name].channels:
        return 0.0
    apply_shift(Shift(name, SHIFTS[name].levels[0]), images[:2])  # imports, tables
    times = []
    for level in SHIFTS[name].levels:
        start = time.perf_counter()
        apply_shift(Shift(name, level), images)
        times.append(time.perf_counter() - start)
    return 1000 * max(times) / len(images)


def costs(images: Tensor) -> None:
    large = torch.nn.functional.interpolate(images[:8].float(), size=224, mode="bilinear")
    rows, over = [], []
    for name in SHIFTS:
        small, big = cost(name, images[:500]), cost(name, large.to(torch.uint8))
        rows.append((name, f"{small:.2f}", f"{big:.1f}"))
        if small > MOST_SMALL or big > MOST_LARGE:
            over.append(name)
    columns = ("kind", "ms at 32 px", "ms at 224 px")
    bench.show(f"Cost of an image; limits {MOST_SMALL:g} and {MOST_LARGE:g} ms", columns, rows)
    print(f"above the limits: {', '.join(over) or 'none'}")


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """In percent."""
    right = sum(
        int((model(part.float() / 255).argmax(1) == part_labels).sum())
        for part, part_labels in zip(images.split(200), labels.split(200), strict=True)
    )
    return 100 * right / len(labels)


def accuracies(model: nn.Module, images: Tensor, labels: Tensor, every: bool) -> None:
    rows = [("clean", f"{accuracy(model, images, labels):.1f}", "", "")]
    for name in SHIFTS:
        kind = SHIFTS[name]
        known = REFERENCE.get(name)
        if not every and known is None:
            continue
        levels = (1, 3, 5) if kind.graded else kind.levels
        got = [accuracy(model, apply_shift(Shift(name, level), images), labels) for level in levels]
        furthest = max((abs(a - b) for a, b in zip(got, known or (), strict=False)), default=0)
        verdict = "" if known is None else ("yes" if furthest <= WITHIN else "NO")
        reference = " ".join(map(str, known or ()))
        rows.append((name, " ".join(f"{value:.1f}" for value in got), reference, verdict))
    columns = ("kind", "accuracy, %", "reference", f"within {WITHIN}")
    bench.show(f"Accuracy of the original on {len(labels)} test rows", columns, rows)


def main() -> None:
    options = bench.arguments(__doc__ or "", images=2000, every=0, parts="cost,accuracy")
    print(bench.machine(), flush=True)
    there = Path(options.data).exists()
    if there:
        splits: Splits = bench.splits_of(options)
        test = splits.test(options.images)
        images, labels = test.images, test.labels
    else:
        images = torch.randint(0, 256, (500, 3, 32, 32), dtype=torch.uint8)
    if "cost" in options.parts:
        costs(images)
    if there and "accuracy" in options.parts:
        _, model, _ = prepare_original(
            options.model, splits, weights=options.weights, device=torch.device("cpu")
        )
        accuracies(model.eval(), images, labels, bool(options.every))


if __name__ == "__main__":
    main()
