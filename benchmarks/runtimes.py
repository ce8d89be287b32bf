"""One network on every runtime: how often int8 differs, and what a search finds there.

    python benchmarks/runtimes.py --artifacts DIR

Makes what is missing in that folder with ``compd export`` (LiteRT files need the extra
``litert-export``; without it those rows say so). The original of every row is the float ONNX file
in ONNX Runtime. A file of our own quantisation-aware network is searched with our shadow, any other
with what ``compd`` finds in it.
"""

from __future__ import annotations

import time
from pathlib import Path

import setup as bench
import torch

from compd.data import Splits
from compd.errors import CompdError
from compd.exporting import export
from compd.models.inputs import predict
from compd.pair import Pair
from compd.pair.from_files import deployed_as, pair_of_files
from compd.pair.preflight import check
from compd.runtimes import Overrides
from compd.search import StabilityCheck, fuzz

# name, file, target, settings of the export
ROWS: tuple[tuple[str, str, str, dict[str, object]], ...] = (
    ("ORT QDQ, our QAT", "qat.onnx", "onnx-qdq", {}),
    ("ORT QDQ, 7-bit weights", "ptq7.onnx", "onnx-ptq", {"reduce_range": True}),
    ("ORT QDQ, 8-bit weights", "ptq8.onnx", "onnx-ptq", {"reduce_range": False}),
    ("ORT QDQ, s8s8", "s8s8.onnx", "onnx-ptq", {"reduce_range": False, "activations": "int8"}),
    ("OpenVINO, our QAT", "qat.xml", "openvino", {}),
    ("OpenVINO, NNCF", "nncf.xml", "openvino-ptq", {}),
    ("LiteRT int8, our QAT", "qat.tflite", "litert-int8", {}),
    ("LiteRT int8, ai-edge-quantizer", "ptq.tflite", "litert-ptq", {}),
    ("LiteRT float16", "float16.tflite", "litert-float16", {}),
    ("torchao pt2e on oneDNN", "torchao.pt2", "torchao", {}),
)


def artifact(pair: Pair, splits: Splits, folder: Path, row: int) -> Path:
    """A row's file, made if it is missing."""
    _, name, target, settings = ROWS[row]
    file = folder / name
    if not file.exists():
        export(pair, target, file, splits=splits, **settings)
    return file


def pair_with(own: Pair, original: Path, file: Path, data: str) -> Pair:
    """The pair of the original's file and this one."""
    if "qat" in file.name:
        return deployed_as(own, file)
    return pair_of_files(original, file, data=data, deployed_overrides=Overrides(trust=True))[0]


def main() -> None:
    options = bench.arguments(
        __doc__ or "",
        artifacts="",
        images=2000,
        seeds=200,
        eps=4,
        engine="fbgemm",
        only="",
    )
    if not options.artifacts:
        raise SystemExit("expected --artifacts DIR, for the files")
    folder = Path(options.artifacts)
    folder.mkdir(parents=True, exist_ok=True)
    splits = bench.splits_of(options)
    own = bench.pair_of(options, splits, bench.QAT, options.engine)
    original = folder / "original.onnx"
    if not original.exists():
        export(own, "onnx", original, splits=splits)
    print(bench.machine(), flush=True)
    test = splits.test()
    images, labels = test.images[: options.images], test.labels[: options.images]
    rows = []
    for i in range(-1, len(ROWS)):
        name = ROWS[i][0] if i >= 0 else f"torch {options.engine}, our QAT"
        if options.only not in name:
            continue
        try:
            pair = (
                own
                if i < 0
                else pair_with(own, original, artifact(own, splits, folder, i), str(options.data))
            )
        except CompdError as error:
            rows.append((name, str(error)[:60], *["–"] * 7))
            continue
        look = check(pair, splits.seeds.first(500))
        said = predict(pair.deployed.run, images).argmax(1)
        reference = predict(pair.reference.run, images).argmax(1)
        begun = time.perf_counter()
        campaign = fuzz(pair, splits.seeds, eps=options.eps, limit=options.seeds)
        findings = list(campaign)
        seconds = time.perf_counter() - begun
        summary = campaign.summary()
        confirm = StabilityCheck(pair)
        confirm(findings)
        followed = look.shadow_disagreement
        rows.append(
            (
                name,
                f"{100 * float((said == labels).double().mean()):.2f}",
                f"{100 * float((said != reference).double().mean()):.2f}",
                look.shadow,
                "–" if followed is None else f"{100 - 100 * followed:.1f}",
                f"{100 * summary.seeds_effective / summary.seeds:.1f}",
                f"{1000 * seconds / max(1, summary.seeds_effective):.1f}",
                f"{summary.severity_median or 0:.3f}",
                ", ".join(f"{count} {trust}" for trust, count in confirm.counts.items()),
            )
        )
        print(rows[-1], flush=True)
    bench.show(
        f"{options.seeds} seeds within {options.eps}/255, {options.images} images",
        (
            "deployed",
            "accuracy, %",
            "natural disagreement, %",
            "shadow",
            "labels followed, %",
            "seeds effective, %",
            "ms an effective seed",
            "median severity",
            "replayed",
        ),
        rows,
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
