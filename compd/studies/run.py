"""Studies of a pair, one after the other on one bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compd.control import QUIET, Control
from compd.corpus import Corpus
from compd.data import Split, Splits
from compd.errors import (
    CompdError,
    InputError,
    SettingError,
    Stopped,
    UnavailableError,
    check_kind,
)
from compd.pair import Pair
from compd.pair.images import MAKE_PAIR, Images, Labels, as_split, as_splits
from compd.shifts import Frost, Shift, check_packages, kind_of, parse_shifts
from compd.studies.bench import Bench, ImageSet
from compd.studies.plain import from_plain, to_plain
from compd.studies.table import STUDIES
from compd.text import names_in, shortened
from compd.wording import setting

__all__ = ["IMAGES", "KINDS", "SEVERITIES", "StudyReport", "study"]

KINDS = "cifar10-c"
SEVERITIES = (1.0, 3.0, 5.0)
IMAGES = 1000  # of each set, where nobody says how many


@dataclass(frozen=True)
class StudyReport:
    """What studies of a pair say."""

    pair: str
    rows: str  # which rows of which data are the clean images
    images: int
    sets: tuple[str, ...]  # all that was looked at, the clean images first
    left_out: tuple[str, ...]  # kinds of shift that images of these channels have not
    random_seed: int
    original_sha256: str
    deployed_sha256: str
    settings: Mapping[str, Mapping[str, Any]]  # study -> its settings
    results: Mapping[str, Any] = field(repr=False)  # study -> its result, a frozen dataclass
    skipped: Mapping[str, str]  # study -> why it does not apply to this pair

    def __repr__(self) -> str:
        done = ", ".join([*self.results, *(f"{name} skipped" for name in self.skipped)])
        return shortened(f"StudyReport({self.images} images, {len(self.sets)} sets: {done})")

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; each study under its name."""
        plain = to_plain(self)
        results = {name: to_plain(result) for name, result in self.results.items()}
        return {key: value for key, value in plain.items() if key != "results"} | results

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudyReport:
        """The inverse of :meth:`to_json`.

        Raises:
            CompdError: if it is anything else.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"expected the JSON of a study, got {type(data).__name__}")
        names = [name for name in data.get("settings", {}) if name in data]
        for name in names:
            if name not in STUDIES:
                raise InputError(f"expected a study that is known, got {name!r}")
        results = {name: from_plain(STUDIES[name].result, data[name]) for name in names}
        kept = {key: value for key, value in data.items() if key not in names}
        try:
            kept |= {name: tuple(kept[name]) for name in ("sets", "left_out")}
            return cls(**kept, results=results)
        except (KeyError, TypeError) as error:
            raise InputError(f"expected the JSON of a study, got {', '.join(data)}") from error


def study(
    pair: Pair,
    images: Images,
    *,
    studies: str | Sequence[object] = "shifts",
    labels: Labels | None = None,
    kinds: str = KINDS,
    severities: Sequence[float] = SEVERITIES,
    limit: int | None = IMAGES,
    others: Sequence[ImageSet] = (),
    corpus: Corpus | None = None,
    random_seed: int = 0,
    frost: Frost | None = None,
    folder: Path | str | None = None,
    control: Control = QUIET,
) -> StudyReport:
    """Measure how the models of a pair differ on clean and on shifted images.

    Args:
        pair: the models.
        images: clean ones of its shape: uint8 (N, C, H, W), rows of a data set, a data set or its
            name, whose test rows are taken.
        studies: names with commas between (``"shifts,guard"``), or configurations such as
            :class:`compd.studies.Guard`.
        labels: whole numbers (N,), of a batch of images.
        kinds: of shifts: a group (``cifar10-c``, ``mnist-c``, ``noise``, ``camera``,
            ``pipeline``), kinds, or kinds at a severity (``fog:3``), with commas between; empty
            for none.
        severities: of those kinds that come without one.
        limit: images of each set at most, the first ones; None for all.
        others: further sets, of another source.
        corpus: of stored deviations, of which the guard says how many it lets through.
        random_seed: of all draws; each depends on it and on the image alone.
        frost: photographs for the shift of that name, by :func:`compd.shifts.read_frost`; None for
            a synthetic texture.
        folder: where answers are kept, so that the same study does not ask again; None for none.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if a name or setting makes no sense, or the images do not fit the pair.
        Stopped: if it was told to stop.
    """
    check_kind("pair", pair, Pair, advice=MAKE_PAIR)
    configs = configured(studies)
    if kinds and not severities:
        raise SettingError("at least one severity", severities=tuple(severities))
    wanted = parse_shifts(kinds, severities=tuple(severities)) if kinds else ()
    found = as_splits(images, pair)
    splits = found if isinstance(found, Splits) else None
    if splits is None or labels is not None:  # which of a data set are an error
        rows = as_split(found, pair, labels)
    else:
        rows = splits.test(limit)
    shifts, left_out = shifts_that_fit(wanted, rows.images.shape[1])
    if frost is not None and not any(one.kind == "frost" for one in shifts):
        named = ", ".join(map(str, shifts)) or "none"
        raise SettingError(f"expected the shift frost with photographs of it, got {named}")
    _check_labels(rows, others)
    if limit is not None:
        if limit < 2:
            raise SettingError("at least two images of each set", images=limit)
        rows = rows.first(limit)
    bench = Bench(
        pair,
        rows,
        splits=splits,
        shifts=shifts,
        others=others,
        corpus=corpus,
        random_seed=random_seed,
        frost=frost,
        folder=None if folder is None else Path(folder),
        control=control,
    )
    lacks = {name: STUDIES[name].lacks(config, bench) for name, config in configs.items()}
    results: dict[str, Any] = {}
    for name, config in configs.items():
        if lacks[name]:
            continue
        try:
            results[name] = STUDIES[name].run(config, bench)
        except (Stopped, SettingError, UnavailableError):
            raise
        except CompdError as error:
            if len(configs) == 1:
                raise
            lacks[name] = str(error)
    return StudyReport(
        pair=pair.spec.title,
        rows=f"{rows.data} {rows.rows}",
        images=len(rows),
        sets=tuple(one.name for one in bench.sets),
        left_out=left_out,
        random_seed=random_seed,
        original_sha256=pair.reference.content_hash,
        deployed_sha256=pair.deployed.content_hash,
        settings={name: STUDIES.settings_of(config) for name, config in configs.items()},
        results=results,
        skipped={name: why for name, why in lacks.items() if why},
    )


def _check_labels(rows: Split, others: Sequence[ImageSet]) -> None:
    """Raise if some images of a set are labelled and some are not, or two sets have one name."""
    sets = {"clean images": rows.labels} | {one.name: one.labels for one in others}
    for name, labels in sets.items():
        missing = int((labels < 0).sum())
        if 0 < missing < len(labels):
            raise InputError(
                f"expected {name} of which all are labelled, or none, got {missing} of "
                f"{len(labels)} without a label; leave those out"
            )
    names = [one.name for one in others]
    if len({*names}) < len(names):
        raise SettingError(f"expected each further set once, got {', '.join(names)}")


def shifts_that_fit(
    shifts: Sequence[Shift], channels: int
) -> tuple[tuple[Shift, ...], tuple[str, ...]]:
    """The shifts that images of so many channels have, and the kinds of the others.

    Args:
        shifts: to choose from.
        channels: of the images; 0 where any may be.
    """
    fits = tuple(one for one in shifts if channels in kind_of(one).channels)
    check_packages(fits)
    kinds = {one.kind: None for one in shifts if one not in fits}
    return fits, tuple(kinds)


def configured(studies: str | Sequence[object], **settings: Any) -> dict[str, Any]:
    """Configurations by the names of their studies, in the order in which they were asked for.

    Args:
        studies: names with commas between, each perhaps with settings, or configurations.
        settings: of whichever of them has such a one; those that are None are left out.

    Raises:
        SettingError: if one is unknown, asked for twice, or has no such setting.
    """
    named = names_in(studies) if isinstance(studies, str) else list(studies)
    found: dict[str, Any] = {}
    for one in named:
        if isinstance(one, str):
            name = one.partition(":")[0]
            own = STUDIES[name].config.__dataclass_fields__ if name in STUDIES else {}
            config = STUDIES.parse(one, **{k: v for k, v in settings.items() if k in own})
        else:
            config = one
        name = STUDIES.name_of(config)
        if name in found:
            raise SettingError(f"expected each study once, got {name} twice")
        found[name] = config
    if not found:
        raise SettingError("at least one study", studies=studies)
    for key, value in settings.items():
        takers = [n for n, entry in STUDIES.items() if key in entry.config.__dataclass_fields__]
        if value is not None and not {*takers} & {*found}:
            raise SettingError(
                f"expected {setting(key)} with the study {' or '.join(takers)}, got "
                f"{', '.join(found)}"
            )
    return found
