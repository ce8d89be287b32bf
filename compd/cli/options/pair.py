"""What the command line says of a pair: a folder, files, or a recipe."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from compd.cli.options import common as o
from compd.cli.options.formats import overrides_of, words_of
from compd.errors import SettingError
from compd.files.programs import source_of
from compd.text import names_in
from compd.wording import options, setting

if TYPE_CHECKING:
    from pathlib import Path

    from compd.compress import Compression, Family
    from compd.files.programs import Program
    from compd.pair.requests import DeployedFile, PairRequest
    from compd.runtimes import Overrides

__all__ = ["FILE_OPTIONS", "TESTED", "PairOptions"]

# compressions that are tested one by one where nothing says which
TESTED = ("qat", "prune")

# options of files that somebody else made
FILE_OPTIONS = (
    "original",
    "deployed",
    "labels",
    "labels_offset",
    "layout",
    "range",
    "bgr",
    "output",
    "output_name",
    "deployed_input",
)
_DATA = {"data", "size", "resize", "crop"}
_FOLDER = {"pair", "engine", "channels", "device", "trust", *_DATA}
_FILES = {"engine", "mean", "std", "device", "trust", *_DATA, *FILE_OPTIONS}
# settings of compressions whose options are named otherwise
_OPTION_OF = {"width": "student_width", "epochs": "fine_tune_epochs", "lr": "fine_tune_lr"}


@dataclass(frozen=True)
class PairOptions:
    """The options that name a pair, as they were typed."""

    model: o.Model = None
    weights: o.Weights = None
    data: o.Data = None
    pair: o.PairDir = None
    compress: o.CompressKind = None
    engine: o.Engine = None
    width: o.Width = None
    channels: o.Channels = 3
    size: o.Size = None
    resize: o.Resize = None
    crop: o.Crop = None
    mean: o.Mean = None
    std: o.Std = None
    epochs: o.Epochs = None
    weight_bits: o.WeightBits = None
    activation_bits: o.ActivationBits = None
    amount: o.Amount = None
    student: o.Student = None
    student_width: o.StudentWidth = None
    fine_tune_epochs: o.FineTuneEpochs = None
    fine_tune_lr: o.FineTuneLr = None
    device: o.Device = "auto"
    original: o.Original = None
    deployed: o.Deployed = None
    labels: o.Labels = None
    labels_offset: o.LabelsOffset = None
    layout: o.Layout = None
    range: o.Range = None
    bgr: o.Bgr = False
    output: o.Output = None
    output_name: o.OutputName = None
    deployed_input: o.DeployedInput = None
    trust: o.Trust = False

    @property
    def names_pair(self) -> bool:
        """Whether they say which pair; else a corpus does."""
        return any(name is not None for name in (self.pair, self.model, self.original))

    @property
    def words(self) -> str:
        """The options that were given, to be typed again; empty if a corpus names the pair."""
        given = ((name, getattr(self, name)) for name in _DEFAULTS)
        return options(**{name: value for name, value in given if value != _DEFAULTS[name]})

    @property
    def data_options(self) -> dict[str, Any]:
        """What names the data and how they are read, by option."""
        return {
            "data": self.data or "digits",
            "channels": None if self.channels == 3 else self.channels,
            "size": self.size,
            "resize": self.resize,
            "crop": self.crop,
        }

    def requests(self) -> dict[str, PairRequest]:
        """The pairs that they name, by compression.

        Of a model of which no compression is named, these are int8 and pruned; settings that only
        one of them has leave that one alone.

        Raises:
            SettingError: if options do not go together.
        """
        from compd.compress import COMPRESSIONS

        kinds = names_in(self.compress or "")
        if not kinds and self._one_pair:
            return {"": self.request()}
        if not kinds:
            given = set(self._given())
            kinds = [kind for kind in TESTED if given <= _names(COMPRESSIONS[kind].config)]
            if self.engine is not None:
                kinds = [kind for kind in kinds if _int8(COMPRESSIONS[kind])]
            kinds = kinds or ["qat"]  # it says what does not go together
        twice = [kind for kind in kinds if kinds.count(kind) > 1]
        if twice:
            raise SettingError("each compression once", compress=self.compress)
        return {kind: replace(self, compress=kind).request() for kind in kinds}

    @property
    def _one_pair(self) -> bool:
        """Whether the compressed model is given, not made."""
        return any(name is not None for name in (self.pair, self.original, self.deployed))

    def check_together(self) -> None:
        """Raise if something is given that files or a pair's folder decide; imports nothing slow.

        Raises:
            SettingError: then.
        """
        if self.original is not None:
            self._reject_beside("original", _FILES)
        elif self.pair is not None:
            files = () if self.deployed is None else FILE_OPTIONS
            self._reject_beside("pair", _FOLDER | {*files})

    def request(self) -> PairRequest:
        """The pair that they name.

        Raises:
            SettingError: if options do not go together.
        """
        from compd.data import Resize
        from compd.pair.requests import PairFiles, PairFolder, PairRecipe
        from compd.sizes import Size

        resize = Resize.of(self.resize, self.crop)
        size = None if self.size is None else Size.of(self.size)
        self.check_together()
        if self.original is not None:
            if self.deployed is None or self.data is None:
                missing = [f"--{name}" for name in ("deployed", "data") if not getattr(self, name)]
                raise SettingError(
                    "expected --original FILE --deployed FILE --data FOLDER, got none for "
                    f"{' and '.join(missing)}"
                )
            return PairFiles(
                self.original,
                self._source(self.deployed),
                self.data,
                self.labels,
                self.overrides(),
                self._deployed_overrides(),
                size,
                self.device,
                resize,
                self.labels_offset,
            )
        file = self._deployed_file()
        if self.pair is not None:
            return PairFolder(
                self.pair,
                self.data,
                None if file is not None else self.engine,
                size,
                self.device,
                self.trust,
                file,
                resize,
            )
        return PairRecipe(
            self.model,
            self.weights,
            self.data,
            self.width,
            self.channels,
            size,
            o.floats(self.mean, "mean"),
            o.floats(self.std, "std"),
            self.epochs,
            self._compression(),
            None if file is not None else self.engine,
            self.device,
            self.trust,
            file,
            resize,
        )

    def overrides(self) -> Overrides:
        """What is said of how both files take images."""
        names = ("layout", "range", "mean", "std", "output", "output_name")
        said = {name: getattr(self, name) for name in names}
        return overrides_of({**said, "bgr": "yes" if self.bgr else None}, trust=self.trust)

    def _deployed_file(self) -> DeployedFile | None:
        """A file in the place of the deployed model of a pair of ours."""
        from compd.pair.requests import DeployedFile

        if self.deployed is None:
            for name in FILE_OPTIONS:
                if getattr(self, name) != _DEFAULTS[name]:
                    raise SettingError(
                        f"expected {setting(name)} with the files that it is said of "
                        f"({setting('original')} and {setting('deployed')}, or "
                        f"{setting('deployed')} alone), got {setting(name)} without"
                    )
            return None
        for name in ("labels", "labels_offset"):
            if getattr(self, name) is not None:
                raise SettingError(
                    f"expected {setting(name)} with {setting('original')} and "
                    f"{setting('deployed')}, got it with {setting('deployed')} alone, whose "
                    "classes are those of the pair; leave it out"
                )
        said = {name: getattr(self, name) for name in ("layout", "range", "output", "output_name")}
        # mean and std are those of the pair's original, then
        both = overrides_of({**said, "bgr": "yes" if self.bgr else None}, trust=self.trust)
        return DeployedFile(self._source(self.deployed), self._deployed_overrides().over(both))

    def _source(self, deployed: str) -> Path | Program:
        """The deployed file, or the program in its place, which is started where we are."""
        return source_of(deployed)

    def _deployed_overrides(self) -> Overrides:
        """What is said of the deployed file alone: its engine, too."""
        return overrides_of({**words_of(self.deployed_input), "engine": self.engine})

    def _compression(self) -> Compression | None:
        """The compression's configuration; None where nothing is said of it."""
        from compd.compress import COMPRESSIONS

        given = self._given()
        if self.compress is None and not given:
            return None
        kind = (self.compress or "qat").partition(":")[0]
        for key in given if kind in COMPRESSIONS else ():
            takers = [name for name, one in COMPRESSIONS.items() if key in _names(one.config)]
            if kind not in takers:
                raise SettingError(
                    f"{setting(_OPTION_OF.get(key, key))} with {setting('compress')} "
                    f"{' or '.join(takers)}",
                    compress=kind,
                )
        return COMPRESSIONS.parse(self.compress or "qat", **given)

    def _given(self) -> dict[str, Any]:
        """The settings of a compression that were typed, by their names in its configuration."""
        given: dict[str, Any] = {
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "amount": self.amount,
            "student": self.student,
            "width": self.student_width,
            "epochs": self.fine_tune_epochs,
            "lr": self.fine_tune_lr,
        }
        return {key: value for key, value in given.items() if value is not None}

    def _reject_beside(self, option: str, allowed: set[str]) -> None:
        """Raise if anything else is given that ``option`` already decides."""
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if name not in allowed and value != default:
                raise SettingError(
                    f"expected --{option} or {setting(name)}, got both ({setting(name, value)}); "
                    f"--{option} decides that"
                )


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(PairOptions)}


def _int8(family: Family) -> bool:
    return bool(family.int8(family.config()))


def _names(config: type[Any]) -> set[str]:
    return {field.name for field in fields(config)}
