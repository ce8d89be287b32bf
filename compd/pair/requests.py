"""The three ways to name a pair: a folder, a recipe, files. Each opens it, with its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from compd.compress import Compression
from compd.control import QUIET, Control
from compd.data import Resize, Splits, load_data, named_for
from compd.errors import InputError
from compd.files.names import anchored_data
from compd.files.programs import Program
from compd.files.storage import check_cache
from compd.pair.build import build_pair
from compd.pair.from_files import deployed_as, pair_of_files, splits_for
from compd.pair.original import default_training
from compd.pair.pair import Pair
from compd.runtimes import Overrides, open_file
from compd.runtimes.openers import check_source
from compd.sizes import AnySize
from compd.system.devices import choose_device
from compd.training import TrainConfig

__all__ = ["DeployedFile", "PairFiles", "PairFolder", "PairRecipe", "PairRequest"]

_MODEL, _DATA = "resnet18", "digits"


@dataclass(frozen=True)
class DeployedFile:
    """A file, or a program, in the place of a pair's deployed model."""

    source: Path | Program
    overrides: Overrides = field(default_factory=Overrides)

    def check(self) -> None:
        """Raise before a pair is trained if the file could not be opened in the end."""
        check_source(self.source, self.overrides)

    def on(self, pair: Pair) -> Pair:
        """The pair with this file as its deployed model."""
        return deployed_as(pair, self.source, self.overrides)


@dataclass(frozen=True)
class PairFolder:
    """A pair that was saved."""

    path: Path
    data: str | None = None  # None for its own
    engine: str | None = None  # int8 engine; None for its own
    size: AnySize | None = None  # scale images to this size
    device: str = "auto"
    trust: bool = False  # whether a model that is code may be run
    deployed: DeployedFile | None = None
    resize: Resize | None = None  # how images are scaled; None: as those that it was made with
    folder: Path | None = None  # where its own data's name was right, if that is a relative path

    def load(self) -> Pair:
        """The pair, without its data, which need not be there."""
        if self.deployed is not None:
            self.deployed.check()
        pair = Pair.load(self.path, engine=self.engine, device=self.device, trust=self.trust)
        return pair if self.deployed is None else self.deployed.on(pair)

    def open(self, control: Control = QUIET) -> tuple[Pair, Splits]:
        """The pair and its data."""
        del control
        check_cache()
        pair = self.load()
        model, name = pair.spec.model, self.data or self._own_data(pair)
        resize, size = self.resize or pair.spec.resize or None, self.size
        if resize is not None:
            size = size or model.size
        splits = Splits(load_data(name, channels=model.channels, size=size, resize=resize))
        if len(splits.dataset.classes) != len(model.classes):
            raise InputError(
                f"expected data with the pair's {len(model.classes)} classes, got "
                f"{len(splits.dataset.classes)} in data={name!r}"
            )
        if set(splits.dataset.classes) == set(model.classes):  # perhaps in another order
            splits = Splits(
                named_for(splits.dataset, len(model.classes), names=tuple(model.classes))
            )
        return pair, splits

    def _own_data(self, pair: Pair) -> str:
        name = pair.spec.data
        if self.folder is None or Path(name).exists():
            return name
        return anchored_data(name, self.folder)


@dataclass(frozen=True)
class PairRecipe:
    """How to build a pair; what took time is cached."""

    model: str | None = None  # None: the default, or where a corpus says it: its own
    weights: Path | None = None
    data: str | None = None
    width: int | None = None
    channels: int = 3
    size: AnySize | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    epochs: int | None = None  # of training the original
    compress: Compression | None = None  # a configuration; None for quantisation-aware training
    engine: str | None = None
    device: str = "auto"
    trust: bool = False  # whether a model that a corpus names may be code
    deployed: DeployedFile | None = None
    resize: Resize | None = None  # how images are scaled; None stretches them

    @property
    def data_name(self) -> str:
        """The data named, or the default."""
        return self.data or _DATA

    @property
    def model_name(self) -> str:
        """The model named, or the default."""
        return self.model or _MODEL

    def splits(self) -> Splits:
        """The data."""
        return Splits(
            load_data(self.data_name, channels=self.channels, size=self.size, resize=self.resize)
        )

    def training(self, splits: Splits) -> TrainConfig:
        """The schedule of an original that has to be trained."""
        training = default_training(splits, choose_device(self.device))
        return training if self.epochs is None else replace(training, epochs=self.epochs)

    def open(self, control: Control = QUIET) -> tuple[Pair, Splits]:
        """The pair, built or from the cache, and its data."""
        check_cache()
        if self.deployed is not None:
            self.deployed.check()
        splits = self.splits()
        pair = build_pair(
            self.model_name,
            data=splits,
            data_name=self.data_name,
            weights=self.weights,
            width=self.width,
            mean=self.mean,
            std=self.std,
            compress="qat" if self.compress is None else self.compress,
            engine=self.engine,
            training=self.training(splits),
            device=self.device,
            control=control,
        )
        return (pair if self.deployed is None else self.deployed.on(pair)), splits


@dataclass(frozen=True)
class PairFiles:
    """Two files that somebody else's toolchain made."""

    original: Path
    deployed: Path | Program
    data: str
    labels: Path | None = None
    overrides: Overrides = field(default_factory=Overrides)  # of both
    deployed_overrides: Overrides = field(default_factory=Overrides)  # of the deployed one alone
    size: AnySize | None = None
    device: str = "auto"
    resize: Resize | None = None  # how images are scaled; None stretches them
    labels_offset: int | None = None  # which of the model's classes is the data's first one

    def splits(self) -> Splits:
        """The images, without the deployed file, which need not be there."""
        reference = open_file(self.original, self.overrides, size=self.size)
        return splits_for(
            reference,
            self.data,
            labels=self.labels,
            labels_offset=self.labels_offset,
            resize=self.resize,
        )

    def open(self, control: Control = QUIET) -> tuple[Pair, Splits]:
        """The pair and its images."""
        check_cache()
        return pair_of_files(
            self.original,
            self.deployed,
            data=self.data,
            labels=self.labels,
            labels_offset=self.labels_offset,
            overrides=self.overrides,
            deployed_overrides=self.deployed_overrides,
            size=self.size,
            resize=self.resize,
            device=self.device,
            control=control,
        )


PairRequest: TypeAlias = PairFolder | PairRecipe | PairFiles


def names_pair(request: PairRequest) -> bool:
    """Whether a request says which pair; else a corpus does."""
    return not isinstance(request, PairRecipe) or request.model is not None


def facts_of(made: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The two files that a corpus was made with, by its records; None if it was built here."""
    compress = made.get("compress")
    given = isinstance(compress, Mapping) and compress.get("kind") == "given"
    return compress if given else None
