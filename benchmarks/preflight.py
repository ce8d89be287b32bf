"""Planted mistakes of preprocessing, and what the look before a campaign says of them.

    python benchmarks/preflight.py

ResNet-20 without its normalisation, as ONNX float and quantised by ONNX Runtime: read as it was
trained, then each way wrong, for both files and for the deployed one, with and without labels.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import setup as bench
import torch
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from PIL import Image

from compd.data import Splits
from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.pair.preflight import check
from compd.runtimes import Overrides

MISTAKES: dict[str, Overrides] = {
    "none": Overrides(),
    "BGR": Overrides(bgr=True),
    "0..255": Overrides(range=(0.0, 255.0)),
    "-1..1": Overrides(range=(-1.0, 1.0)),
    "no normalisation": Overrides(mean=(0.0,), std=(1.0,)),
    "no normalisation, 0..255": Overrides(mean=(0.0,), std=(1.0,), range=(0.0, 255.0)),
    "ImageNet's": Overrides(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}


class Batches(CalibrationDataReader):
    """Calibration images for ONNX Runtime's quantiser."""

    def __init__(self, x: torch.Tensor) -> None:
        self.parts = iter(x.split(32))

    def get_next(self) -> dict[str, np.ndarray] | None:
        part = next(self.parts, None)
        return None if part is None else {"x": part.numpy()}


def files(pair: Pair, splits: Splits, folder: Path) -> tuple[Path, Path, Overrides]:
    """The bare network as two files, and how they are to be read."""
    spec = pair.spec.model
    assert spec.mean is not None
    assert spec.std is not None
    mean, std = (torch.tensor(v)[:, None, None] for v in (spec.mean, spec.std))
    original, deployed = folder / "bare.onnx", folder / "bare.int8.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            pair.original.net,
            (torch.zeros(1, 3, 32, 32),),
            str(original),
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )
    x = (splits.calibration.images[:256].float() / 255 - mean) / std
    quantize_static(original, deployed, Batches(x), per_channel=True)
    return original, deployed, Overrides(mean=spec.mean, std=spec.std)


def main() -> None:
    options = bench.arguments(__doc__ or "", images=500, engine="fbgemm")
    splits = bench.splits_of(options)
    pair = bench.pair_of(options, splits, bench.QAT, options.engine)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        original, deployed, right = files(pair, splits, folder)
        photos = {"labelled": folder / "photos", "flat": folder / "flat"}
        for i in range(options.images + 200):
            label = splits.dataset.classes[int(splits.seeds.labels[i])]
            for where in (photos["labelled"] / label, photos["flat"]):
                where.mkdir(parents=True, exist_ok=True)
                image = splits.seeds.images[i].permute(1, 2, 0).numpy()
                Image.fromarray(image).save(where / f"{i:04}.png")
        for mistake, wrong in MISTAKES.items():
            for who in ("both", "deployed"):
                for kind, data in photos.items():
                    overrides = wrong.over(right) if who == "both" else right
                    other = wrong.over(right) if who == "deployed" else None
                    given, images = pair_of_files(
                        original,
                        deployed,
                        data=str(data),
                        overrides=overrides,
                        deployed_overrides=other,
                    )
                    look = check(given, images.seeds.first(500))
                    text = look.faults[0] if look.faults else "no fault"
                    rows.append(
                        (
                            mistake,
                            who,
                            kind,
                            f"{100 * look.natural_disagreement:.1f}",
                            text.partition("got another reading: ")[2] or text,
                        )
                    )
                    print(rows[-1], flush=True)
    bench.show("Planted mistakes", ("mistake", "in", "images", "differ, %", "said"), rows)


if __name__ == "__main__":
    main()
