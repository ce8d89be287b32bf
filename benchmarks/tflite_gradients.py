"""Gradients through TFLite files, beside ONNX files of the same networks, and no gradients at all.

    python benchmarks/tflite_gradients.py --seeds 200 --eps 4

Writes ResNet-20 (CIFAR-10, third-party weights) and a mobile network with depthwise convolutions
(trained here, a few epochs) as float and int8 files, by the toolchains' own quantisers and with the
scales that compd found, and searches each pair. Needs the extras ``onnx`` and ``litert-export``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kinds_nets
import setup as bench
import torch
from safetensors.torch import save_file

from compd.cli.display import live
from compd.compress import Ptq
from compd.data import Splits
from compd.exporting import export
from compd.models.inputs import predict
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.pair.from_files import pair_of_files
from compd.search import Blackbox, fuzz
from compd.training import TrainConfig, fit_

# float file, int8 file, suffix
FORMS = (
    ("litert", "litert-ptq", ".tflite"),
    ("litert", "litert-int8", ".tflite"),
    ("onnx", "onnx-ptq", ".onnx"),
    ("onnx", "onnx-qdq", ".onnx"),
)
COLUMNS = (
    *("network", "int8 file", "labels of the shadow", "search", "seeds effective"),
    *("gradients a seed", "forwards a seed", "ms an effective seed", "of blackbox's time"),
)


def main() -> None:
    options = bench.arguments(
        str(__doc__), networks="resnet20,mobile",
        seeds=200, eps=4, images=2000, epochs=4, queries=1000,
    )  # fmt: skip
    splits = bench.splits_of(options)
    rows: list[tuple[str, ...]] = []
    for network, pair in networks(options, splits):
        for target, files in written(pair, splits):
            made, _ = pair_of_files(*files, data=options.data)
            for row in searched(made, splits, options):
                rows.append((network, f"`{target}`", *row))
                print(*rows[-1], sep=" | ", flush=True)
    title = f"{options.seeds} seeds at {options.eps}/255, first deviation"
    bench.show(title, COLUMNS, rows)
    print(bench.machine())


def networks(options: argparse.Namespace, splits: Splits) -> Iterator[tuple[str, Pair]]:
    if "resnet20" in options.networks:
        yield "ResNet-20", bench.pair_of(options, splits, Ptq(8, 8))
    if "mobile" not in options.networks:
        return
    torch.manual_seed(0)
    network = kinds_nets.mobilenet()
    schedule = TrainConfig(epochs=options.epochs, lr=0.1)
    with tempfile.TemporaryDirectory() as folder, live() as control:
        cpu = torch.device("cpu")
        fit_(
            network, splits.train, splits.selection, schedule, stage="training", device=cpu,
            control=control,
        )  # fmt: skip
        weights = Path(folder) / "mobile.safetensors"
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights)
        yield (
            "mobile",
            build_pair(
                "kinds_nets:mobilenet", data=splits, weights=weights, compress=Ptq(8, 8),
                device="cpu", control=control,
            ),
        )  # fmt: skip


def written(pair: Pair, splits: Splits) -> Iterator[tuple[str, tuple[Path, Path]]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for whole, small, suffix in FORMS:
            files = folder / f"{whole}{suffix}", folder / f"{small}{suffix}"
            own = "original" if small.endswith("ptq") else "deployed"
            for target, path, of in zip((whole, small), files, ("original", own), strict=True):
                if not path.exists():
                    export(pair, target, path, of=of, splits=splits)
            yield small, files


def searched(pair: Pair, splits: Splits, options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    images = splits.test(options.images).images
    shadow, shipped = (
        predict(run.run, images).argmax(1) for run in (pair.shadow_runtime, pair.deployed)
    )
    follows = f"{float((shadow == shipped).double().mean()):.2%}"
    times = {}
    blackbox = Blackbox(queries=options.queries)
    for name, strategy in (("blackbox", blackbox), ("boundary", "boundary")):
        campaign = fuzz(
            pair, splits.seeds, strategy=strategy, eps=options.eps, limit=options.seeds,
            wrong_seeds="aside",
        )  # fmt: skip
        found = {finding.seed_row for finding in campaign}
        said = campaign.summary()
        times[name] = 1000 * said.seconds / max(1, len(found))
        yield (
            follows,
            name,
            f"{said.seeds_effective} of {said.seeds} ({said.seeds_effective / said.seeds:.1%})",
            f"{said.gradients_per_seed:.2f}",
            f"{said.forwards_per_seed:.1f}",
            f"{times[name]:.0f}",
            f"{times[name] / times['blackbox']:.2f}",
        )


if __name__ == "__main__":
    main()
