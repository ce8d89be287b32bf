"""What the command line says of a pair: a directory, files, or how to build one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from compd.cli.options import common as o
from compd.cli.options.formats import overrides_of, words_of
from compd.errors import SettingError, unknown

if TYPE_CHECKING:
    from compd.compress import Compression
    from compd.data import Splits
    from compd.pair import Pair
    from compd.progress import Report
    from compd.runtimes import Overrides
    from compd.training import TrainConfig

__all__ = ["FILE_OPTIONS", "PairRequest"]

_MODEL, _DATA = "resnet18", "digits"
# options of files that somebody else made
FILE_OPTIONS = (
    "original",
    "deployed",
    "labels",
    "layout",
    "range",
    "bgr",
    "output",
    "deployed_input",
)
_WITH_PAIR = ("pair", "data", "engine", "channels", "size", "device", "trust")  # beside --pair
_WITH_FILES = ("data", "size", "mean", "std", "device", "trust", *FILE_OPTIONS)
# settings of compressions whose options are named otherwise
_OPTION_OF = {"epochs": "fine-tune-epochs", "lr": "fine-tune-lr"}


@dataclass(frozen=True)
class PairRequest:
    """What the command line says about the pair: a directory, or how to build one."""

    model: o.Model = None
    weights: o.Weights = None
    data: o.Data = None
    pair: o.PairDir = None
    compress: o.CompressKind = None
    engine: o.Engine = None
    width: o.Width = None
    channels: o.Channels = 3
    size: o.Size = None
    mean: o.Mean = None
    std: o.Std = None
    epochs: o.Epochs = None
    weight_bits: o.WeightBits = None
    activation_bits: o.ActivationBits = None
    amount: o.Amount = None
    fine_tune_epochs: o.FineTuneEpochs = None
    fine_tune_lr: o.FineTuneLr = None
    device: o.Device = "auto"
    original: o.Original = None
    deployed: o.Deployed = None
    labels: o.Labels = None
    layout: o.Layout = None
    range: o.Range = None
    bgr: o.Bgr = False
    output: o.Output = None
    deployed_input: o.DeployedInput = None
    trust: o.Stability = False

    @property
    def model_name(self) -> str:
        """The model named, or the default."""
        return self.model or _MODEL

    @property
    def data_name(self) -> str:
        """The data named, or the default."""
        return self.data or _DATA

    @property
    def names_pair(self) -> bool:
        """Whether it says which pair; else a corpus does."""
        return any(name is not None for name in (self.pair, self.model, self.original))

    @property
    def words(self) -> str:
        """The options that name the pair, as they were typed; empty if a corpus names it."""
        named = ("pair", "model", "weights", "compress", "engine", "original", "deployed", "data")
        given = [(name, getattr(self, name)) for name in named]
        return " ".join(f"--{name} {value}" for name, value in given if value is not None)

    @property
    def data_words(self) -> str:
        """The options that name the data and how they are read."""
        words = [f"--data {self.data_name}"]
        if self.channels != 3:
            words.append(f"--channels {self.channels}")
        if self.size is not None:
            words.append(f"--size {self.size}")
        return " ".join(words)

    def splits(self, pair: Pair | None = None) -> Splits:
        """Open the data: the one named, else the pair's own, else digits."""
        from compd.data import Splits, load_data

        if pair is None:
            return Splits(load_data(self.data_name, channels=self.channels, size=self.size))
        model = pair.spec.model
        splits = Splits(
            load_data(self.data or pair.spec.data, channels=model.channels, size=self.size)
        )
        if len(splits.dataset.classes) != len(model.classes):
            raise SettingError(
                f"expected data with the pair's {len(model.classes)} classes, got "
                f"{len(splits.dataset.classes)} in data={self.data or pair.spec.data!r}"
            )
        return splits

    def open(self, report: Report) -> tuple[Pair, Splits]:
        """Load or build the pair, and open the data."""
        from compd.files.storage import check_cache
        from compd.pair.build import build_pair

        check_cache()
        if self.original is not None:
            return self._open_files(report)
        if self.deployed is not None:
            self.check_deployed()
            pair, splits = self.without_files().open(report)
            return self.with_deployed(pair), splits
        self._reject_without_files()
        if self.pair is not None:
            pair = self.load()
            return pair, self.splits(pair)
        splits = self.splits()
        pair = build_pair(
            self.model_name,
            data=splits,
            data_name=self.data_name,
            weights=self.weights,
            width=self.width,
            mean=o.floats(self.mean, "mean"),
            std=o.floats(self.std, "std"),
            compress=self.compression(),
            engine=self.engine,
            training=self.training(splits),
            device=self.device,
            report=report,
        )
        return pair, splits

    def load(self) -> Pair:
        """Read the pair's directory, without its data; with the file of this request, if any."""
        from compd.pair import Pair

        if self.deployed is not None:
            self.check_deployed()
            return self.with_deployed(self.without_files().load())
        self._reject_without_files()
        self._reject("pair", _WITH_PAIR)
        if self.pair is None:
            raise SettingError("expected --pair DIR, got none")
        return Pair.load(self.pair, engine=self.engine, device=self.device, trust=self.trust)

    def training(self, splits: Splits) -> TrainConfig:
        """The schedule of an original that has to be trained."""
        from compd.pair import choose_device
        from compd.pair.original import default_training

        training = default_training(splits, choose_device(self.device))
        return training if self.epochs is None else replace(training, epochs=self.epochs)

    def compression(self) -> Compression:
        """The compression's configuration."""
        from compd.compress import COMPRESSIONS

        kind = self.compress or "qat"
        if kind not in COMPRESSIONS:
            raise unknown("compress", kind, COMPRESSIONS)
        given: dict[str, Any] = {
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
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
                raise SettingError(
                    f"--{option} with --compress {' or '.join(takers)}", compress=kind
                )
        return config(**given)

    def _open_files(self, report: Report) -> tuple[Pair, Splits]:
        from compd.pair.from_files import pair_of_files

        self._reject("original", _WITH_FILES)
        if self.original is None or self.deployed is None or self.data is None:
            missing = [
                f"--{name}" for name in ("original", "deployed", "data") if not getattr(self, name)
            ]
            raise SettingError(
                "expected --original FILE --deployed FILE --data FOLDER, got none for "
                f"{' and '.join(missing)}"
            )
        return pair_of_files(
            self.original,
            self.deployed,
            data=self.data,
            labels=self.labels,
            overrides=self.overrides(),
            deployed_overrides=self.deployed_overrides(),
            size=self.size,
            device=self.device,
            report=report,
        )

    def overrides(self) -> Overrides:
        """What is said of how both files take images."""
        said = {name: getattr(self, name) for name in ("layout", "range", "mean", "std", "output")}
        return overrides_of({**said, "bgr": "yes" if self.bgr else None}, trust=self.trust)

    def deployed_overrides(self) -> Overrides:
        """What is said of the deployed file alone."""
        return overrides_of(words_of(self.deployed_input))

    def without_files(self) -> PairRequest:
        """The same without what is said of files."""
        defaults: dict[str, Any] = {
            field.name: field.default for field in fields(self) if field.name in FILE_OPTIONS
        }
        return replace(self, **defaults)

    def check_deployed(self) -> None:
        """Raise before a pair is trained if its file could not be opened in the end."""
        from compd.runtimes.files import check_file

        if self.deployed is not None:
            check_file(self.deployed, self.overrides())

    def with_deployed(self, pair: Pair) -> Pair:
        """The pair with the file of this request as its deployed model."""
        from compd.pair.from_files import deployed_as

        if self.deployed is None:
            raise SettingError("expected --deployed FILE, got none")
        # mean and std are those of the pair's original, then
        overrides = self.deployed_overrides().over(replace(self, mean=None, std=None).overrides())
        return deployed_as(pair, self.deployed, overrides)

    def _reject_without_files(self) -> None:
        defaults = {field.name: field.default for field in fields(self)}
        for name in FILE_OPTIONS:
            if getattr(self, name) != defaults[name]:
                option = name.replace("_", "-")
                raise SettingError(
                    f"expected --{option} with the files that it is said of (--original and "
                    f"--deployed, or --deployed alone), got --{option} without"
                )

    def _reject(self, option: str, allowed: Collection[str]) -> None:
        """Raise if anything else is given that ``option`` already decides."""
        for field in fields(self):
            name, value = field.name.replace("_", "-"), getattr(self, field.name)
            if field.name not in allowed and value != field.default:
                raise SettingError(
                    f"expected --{option} or --{name}, got both (--{name} {value}); --{option} "
                    "decides that"
                )
