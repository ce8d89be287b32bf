"""Options that several commands share, and how they become library arguments.

Nothing here imports torch: ``compd --help`` has to come at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compd.errors import CompdError, unknown

if TYPE_CHECKING:
    from compd.compress import Compression
    from compd.data import Splits
    from compd.pair import Pair
    from compd.progress import Report
    from compd.training import TrainConfig

__all__ = [
    "Amount", "Batch", "Channels", "CompressKind", "CorpusDir", "Data", "Device", "Engine",
    "Epochs", "FineTuneEpochs", "FineTuneLr", "JsonFile", "Mean", "Model", "PairDir",
    "PairRequest", "Size", "Std", "Threads", "WeightBits", "Weights", "Width", "floats",
    "use_threads",
]  # fmt: skip

# settings of compressions whose options are named otherwise
_OPTION_OF = {"epochs": "fine-tune-epochs", "lr": "fine-tune-lr"}

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="vgg11, resnet18, densenet121, resnet20, lenet5, or pkg.module:factory. "
        "Default: resnet18.",
    ),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="Weights of the original (.safetensors, .pt).")
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="digits, an image folder, parquet files (folder or glob), or a Hugging Face name. "
        "Default: digits.",
    ),
]
Width = Annotated[int | None, typer.Option("--width", help="Base channels of a zoo model.")]
Channels = Annotated[int, typer.Option("--channels", help="3 for RGB, 1 for grey.")]
Size = Annotated[int | None, typer.Option("--size", help="Scale images to this size.")]
Mean = Annotated[
    str | None, typer.Option("--mean", help="Normalisation in front, such as 0.49,0.48,0.45.")
]
Std = Annotated[str | None, typer.Option("--std", help="The same for the standard deviation.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Epochs of training the original.")]
CompressKind = Annotated[
    str | None, typer.Option("--compress", help="qat, ptq or prune. Default: qat.")
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="int8 engine: x86, fbgemm, onednn or qnnpack. Default: x86."),
]
WeightBits = Annotated[
    int | None, typer.Option("--weight-bits", help="ptq: 8 down to 4 (below 8: simulated).")
]
Amount = Annotated[
    float | None, typer.Option("--amount", help="prune: share of weights removed, 0.75.")
]
FineTuneEpochs = Annotated[
    int | None, typer.Option("--fine-tune-epochs", help="qat, prune: epochs of fine-tuning.")
]
FineTuneLr = Annotated[
    float | None, typer.Option("--fine-tune-lr", help="qat, prune: peak learning rate.")
]
PairDir = Annotated[
    Path | None, typer.Option("--pair", help="A pair's directory, from: compd compress --out DIR.")
]
CorpusDir = Annotated[Path | None, typer.Option("--corpus", help="The corpus's directory.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, …")]
Threads = Annotated[
    int | None, typer.Option("--threads", help="CPU threads. Default: all that we may use.")
]
Batch = Annotated[int | None, typer.Option("--batch", help="Images a batch.")]


def floats(text: str | None, name: str) -> tuple[float, ...] | None:
    """Parse ``0.49,0.48,0.45``."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise CompdError(
            f"expected {name} as numbers with commas (0.49,0.48,0.45), got {name}={text!r}"
        ) from error


def use_threads(threads: int | None) -> None:
    """Give torch the cores that this process may use."""
    import torch

    from compd.machine import cpu_count

    if threads is not None and not 1 <= threads <= 1024:
        raise CompdError(f"expected threads in 1..1024, got threads={threads}")
    torch.set_num_threads(threads or cpu_count())


@dataclass(frozen=True)
class PairRequest:
    """What the command line says about the pair: a directory, or how to build one."""

    pair: Path | None
    model: str | None
    weights: Path | None
    data: str | None
    width: int | None
    channels: int
    size: int | None
    mean: str | None
    std: str | None
    epochs: int | None
    compress: str | None
    engine: str | None
    weight_bits: int | None
    amount: float | None
    fine_tune_epochs: int | None
    fine_tune_lr: float | None
    device: str

    def splits(self, pair: Pair | None = None) -> Splits:
        """Open the data: the one named, else the pair's own, else digits."""
        from compd.data import Splits, load_data

        if pair is None:
            return Splits(load_data(self.data or "digits", channels=self.channels, size=self.size))
        model = pair.spec.model
        splits = Splits(
            load_data(self.data or pair.spec.data, channels=model.channels, size=self.size)
        )
        if len(splits.dataset.classes) != len(model.classes):
            raise CompdError(
                f"expected data with the pair's {len(model.classes)} classes, got "
                f"{len(splits.dataset.classes)} in data={self.data or pair.spec.data!r}"
            )
        return splits

    def open(self, report: Report) -> tuple[Pair, Splits]:
        """Load or build the pair, and open the data."""
        from compd.build import build_pair
        from compd.pair import Pair
        from compd.storage import check_cache

        check_cache()
        if self.pair is not None:
            self._reject_with_pair()
            pair = Pair.load(self.pair, engine=self.engine, device=self.device)
            return pair, self.splits(pair)
        splits = self.splits()
        pair = build_pair(
            self.model or "resnet18",
            data=splits,
            data_name=self.data or "digits",
            weights=self.weights,
            width=self.width,
            mean=floats(self.mean, "mean"),
            std=floats(self.std, "std"),
            compress=self.compression(),
            engine=self.engine,
            training=self._training(splits),
            device=self.device,
            report=report,
        )
        return pair, splits

    def open_like(self, made_with: Mapping[str, Any], report: Report) -> tuple[Pair, Splits]:
        """Build the pair that a corpus names, on the data and the engine of this request."""
        from compd.build import build_pair
        from compd.compress import config_from_json
        from compd.compress.int8 import ENGINES
        from compd.spec import ModelSpec

        try:
            spec = ModelSpec.from_json(made_with["model"])
            config = config_from_json(made_with["compress"])
            engine = str(made_with["engine"])
        except (KeyError, TypeError, ValueError) as error:
            raise CompdError(
                f"expected the corpus to say how its pair was made, got {error!r}; name the pair "
                "with --pair DIR or --model"
            ) from error
        splits = replace(self, channels=spec.channels, size=self.size).splits()
        pair = build_pair(
            spec.model, data=splits, weights=self.weights, width=spec.width, mean=spec.mean,
            std=spec.std, compress=config,
            engine=self.engine or (engine if engine in ENGINES else None),
            training=self._training(splits), device=self.device, report=report,
        )  # fmt: skip
        return pair, splits

    def _training(self, splits: Splits) -> TrainConfig:
        from compd.original import default_training

        training = default_training(splits)
        return training if self.epochs is None else replace(training, epochs=self.epochs)

    def compression(self) -> Compression:
        """The compression's configuration."""
        from compd.compress import COMPRESSIONS

        kind = self.compress or "qat"
        if kind not in COMPRESSIONS:
            raise unknown("compress", kind, COMPRESSIONS)
        given: dict[str, Any] = {
            "weight_bits": self.weight_bits,
            "amount": self.amount,
            "epochs": self.fine_tune_epochs,
            "lr": self.fine_tune_lr,
        }
        given = {key: value for key, value in given.items() if value is not None}
        config = COMPRESSIONS[kind]
        for key in given:
            takers = [
                name for name, c in COMPRESSIONS.items() if key in {f.name for f in fields(c)}
            ]
            if kind not in takers:
                option = _OPTION_OF.get(key, key.replace("_", "-"))
                raise CompdError(
                    f"expected --{option} with --compress {' or '.join(takers)}, got "
                    f"compress={kind!r}"
                )
        return config(**given)

    def _reject_with_pair(self) -> None:
        clashes = {
            "model": self.model, "weights": self.weights, "width": self.width, "mean": self.mean,
            "std": self.std, "epochs": self.epochs, "compress": self.compress,
            "weight-bits": self.weight_bits, "amount": self.amount,
            "fine-tune-epochs": self.fine_tune_epochs, "fine-tune-lr": self.fine_tune_lr,
        }  # fmt: skip
        for name, value in clashes.items():
            if value is not None:
                raise CompdError(
                    f"expected --pair or --{name}, got both (--{name} {value}); the pair's "
                    "directory decides that"
                )
