"""Tables of published studies, again, on real files, with their figures beside ours.

    python benchmarks/published_tables.py --parts columns   # Hu et al. 2022, table 2
    python benchmarks/published_tables.py --parts noise     # Langille 2024, four perturbations

``columns`` writes ResNet-20 (CIFAR-10) and both LeNets (digits) for LiteRT and for Core ML, opens
the files again and compares each with the network they came from; it needs the extras
``litert-export`` and ``coreml``. Core ML predicts on macOS alone: what is compared is the network
with the weights of the package, decompressed. ``noise`` takes an EfficientNet-Lite0 as ONNX files,
float and int8, and photographs of 1,000 classes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import setup as bench

from compd.cli.display import live
from compd.compress import Ptq
from compd.data import Splits
from compd.exporting import export
from compd.exporting.coreml_files import with_coreml_weights
from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.runtimes import FloatRuntime, Runtime
from compd.runtimes.files import open_file
from compd.studies import study
from compd.studies.shifts import Both, SetFigures, ShiftsResult

# Of 10,000 images: clean, average of the shifted sets; then mean of the absolute change, points.
PUBLISHED = {
    ("resnet20", "TF-8"): (456, 295, 0.20),
    ("resnet20", "TF-16"): (54, 75, 0.06),
    ("resnet20", "CM-8"): (181, 307, 0.89),
    ("resnet20", "CM-16"): (7, 19, 0.05),
    ("lenet1", "TF-8"): (14, 103, 0.23),
    ("lenet1", "TF-16"): (9, 41, 0.10),
    ("lenet1", "CM-8"): (2, 33, 0.05),
    ("lenet1", "CM-16"): (0, 3, 0.01),
    ("lenet5", "TF-8"): (4, 69, 0.09),
    ("lenet5", "TF-16"): (3, 32, 0.11),
    ("lenet5", "CM-8"): (1, 28, 0.11),
    ("lenet5", "CM-16"): (0, 1, 0.01),
}
COLUMNS = (
    ("TF-8", "litert-ptq"),
    ("TF-8", "litert-int8"),
    ("TF-16", "litert-float16"),
    ("CM-8", "coreml-linear8"),
    ("CM-8", "coreml-palette8"),
    ("CM-16", "coreml-float16"),
)


def main() -> None:
    options = bench.arguments(
        str(__doc__), parts="columns,noise", images=2000, photos="../shared/data/imagenet-sample"
    )
    parts = {"columns": columns, "noise": noise}
    for name in options.parts.split(","):
        parts[name](options)
    print(bench.machine())


def columns(options: argparse.Namespace) -> None:
    rows: list[tuple[str, ...]] = []
    for network, kinds in (("resnet20", "cifar10-c"), ("lenet1", "mnist-c"), ("lenet5", "mnist-c")):
        own = argparse.Namespace(**vars(options))
        if network != "resnet20":
            own.model, own.data, own.weights = network, "digits", ""
        splits = bench.splits_of(own)
        pair = bench.pair_of(own, splits, Ptq(8, 8))
        for column, target, deployed in files(pair, splits):
            found = figures(deployed, splits, kinds, options.images)
            clean, sets = found.clean, found.sets
            more = sum(one.disagreement.share > clean.disagreement.share for one in sets)
            paper = PUBLISHED[network, column]
            rows.append(
                (
                    network,
                    f"{column}: `{target}`",
                    f"{100 * (clean.accuracy_change or 0):+.2f}",
                    f"{100 * clean.disagreement.share:.2f}",
                    f"{paper[0] / 100:.2f}",
                    f"{100 * shared(sets):.2f}",
                    f"{paper[1] / 100:.2f}",
                    f"{100 * np.mean([abs(one.accuracy_change or 0) for one in sets]):.2f}",
                    f"{paper[2]:.2f}",
                    f"{more} of {len(sets)}",
                )
            )
            print(*rows[-1], sep=" | ", flush=True)
    head = (
        *("network", "column", "clean change, points", "clean disagreement, %", "published"),
        *("shifted, mean %", "published", "mean absolute change", "published", "more than clean"),
    )
    bench.show(f"Hu et al., table 2, severity 3, up to {options.images:,} images a set", head, rows)


def files(pair: Pair, splits: Splits) -> Iterator[tuple[str, str, Pair]]:
    """The pair with each column's file as its deployed model."""
    with tempfile.TemporaryDirectory() as folder:
        for column, target in COLUMNS:
            suffix = ".tflite" if target.startswith("litert") else ".zip"
            path = Path(folder) / f"{target}{suffix}"
            of = "deployed" if target == "litert-int8" else "original"
            export(pair, target, path, of=of, splits=splits)
            if suffix == ".tflite":
                runtime: Runtime = open_file(path)
            else:
                network = with_coreml_weights(pair.original, path.with_suffix(".safetensors"))
                runtime = FloatRuntime(network, pair.device, target)
            yield column, target, pair.with_deployed(runtime)


def figures(pair: Pair, splits: Splits, kinds: str, limit: int) -> ShiftsResult:
    with live() as control:
        report = study(
            pair, splits, studies="shifts", kinds=kinds, severities=(3.0,), limit=limit,
            control=control,
        )  # fmt: skip
    found: ShiftsResult = report.results["shifts"]
    return found


def shared(sets: tuple[SetFigures, ...]) -> float:
    return float(np.mean([one.disagreement.share for one in sets]))


def noise(options: argparse.Namespace) -> None:
    folder = Path(options.photos)
    names = (folder / f"efficientnet-lite0{form}.onnx" for form in ("", "-int8"))
    pair, splits = pair_of_files(*names, data=str(folder))
    found = figures(pair, splits, "noise", options.images)
    order = {kind: i for i, kind in enumerate(("awgn", "brownian", "vertical", "horizontal"))}
    sets = sorted(found.sets, key=lambda one: (order[str(one.kind)], one.severity or 0.0))
    rows = [told(one) for one in (found.clean, *sets)]
    head = (
        *("set", "top-1, %", "change", "top-5, %", "change", "weighted F1", "change"),
        *("disagreement, %", "KL"),
    )
    bench.show("Langille's perturbations, EfficientNet-Lite0, int8 ONNX", head, rows)
    changes = [100 * abs(one.accuracy_change or 0.0) for one in sets]
    print(f"\nlargest change of top-1: {max(changes):.2f} points (Langille, VGG-16: 1.62)")


def told(one: SetFigures) -> tuple[str, ...]:
    top1 = Both(one.accuracy_original or 0.0, one.accuracy_deployed or 0.0)
    cells = [one.name]
    for both in (top1, one.top5, one.f1_weighted):
        assert both is not None  # there are labels, and more than ten classes
        change = 100 * (both.deployed - both.original)
        cells += [f"{100 * both.original:.1f}", f"{change:+.1f}"]
    return (*cells, f"{100 * one.disagreement.share:.1f}", f"{one.kl:.3f}")


if __name__ == "__main__":
    main()
