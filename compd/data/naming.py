"""Fitting a data set's classes to those of a model that somebody else trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from compd.data.dataset import UNKNOWN, Dataset, Part
from compd.errors import InputError, SettingError
from compd.files.storage import config_hash
from compd.wording import setting

__all__ = ["named_for"]

_LONGEST = 1 << 20  # bytes of a file of names


def named_for(
    dataset: Dataset,
    classes: int,
    labels: Path | None = None,
    *,
    names: tuple[str, ...] = (),
    offset: int | None = None,
) -> Dataset:
    """Give a data set the classes of a model.

    Args:
        dataset: with classes of its own.
        classes: how many the model knows.
        labels: a text file with the name of one class a line, in the model's order. None: the data
            set's own names if there are as many; else those of the model, or numbers, and the
            images count as unlabelled unless their classes are among them.
        names: that the model itself gives, in its order; empty if it does not.
        offset: which of the model's classes is the data set's first one; the others follow it in
            its order, whatever their names. None: names decide.

    Raises:
        CompdError: if the file has another number of names, or the data set other classes.
    """
    if offset is not None:
        return _moved(
            dataset, classes, offset, names if labels is None else _read_names(labels, classes)
        )
    if labels is None:
        if set(dataset.classes) <= set(names):
            return _renamed(dataset, names)
        if len(dataset.classes) == classes:
            return dataset
        return _relabelled(dataset, names or tuple(map(str, range(classes))), None)
    names = _read_names(labels, classes)
    if len(dataset.classes) == 1:
        return _relabelled(dataset, names, None)
    strangers = [name for name in dataset.classes if name not in names]
    if strangers:
        raise InputError(
            f"expected classes that labels={str(labels)!r} names, got {strangers[0]!r} and "
            f"{len(strangers) - 1} more in {dataset.name!r}; rename the subfolders, or put the "
            "images in one folder without subfolders"
        )
    return _renamed(dataset, names)


def _moved(dataset: Dataset, classes: int, offset: int, names: tuple[str, ...]) -> Dataset:
    """The data set's classes as some of the model's that follow each other."""
    own = dataset.classes
    if len(own) == 1:
        raise InputError(
            f"expected images in class subfolders with {setting('labels_offset', offset)}, got "
            f"{dataset.name!r} without"
        )
    if not 0 <= offset <= classes - len(own):
        raise SettingError(
            f"expected {setting('labels_offset')} such that {len(own)} classes of the data are "
            f"among {classes} of the model, got {setting('labels_offset', offset)}"
        )
    before = (f"output {i}" for i in range(offset))
    after = (f"output {i}" for i in range(offset + len(own), classes))
    names = names or (*before, *own, *after)
    return _relabelled(dataset, names, torch.arange(len(own)) + offset)


def _renamed(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """The same classes in another order, or among more."""
    if dataset.classes == names:
        return dataset
    return _relabelled(dataset, names, torch.tensor([names.index(c) for c in dataset.classes]))


def _read_names(path: Path, classes: int) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8") as file:
            lines = file.read(_LONGEST).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"expected a text file with one class a line, got labels={str(path)!r} "
            f"({type(error).__name__})"
        ) from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != classes or len(set(names)) != classes:
        raise InputError(
            f"expected {classes} different names, one a line, as the model has classes, got "
            f"{len(set(names))} in labels={str(path)!r}"
        )
    return names


def _relabelled(dataset: Dataset, names: tuple[str, ...], to: torch.Tensor | None) -> Dataset:
    """The data set with other names; labels become ``to[label]``, or unknown."""

    def load(loader: Callable[[], Part]) -> Part:
        part = loader()
        if to is not None:
            return replace(part, labels=to[part.labels])
        own = part.labels if unused else None
        return replace(part, labels=torch.full_like(part.labels, UNKNOWN), own=own)

    unused = to is None and len(dataset.classes) > 1
    return replace(
        dataset,
        classes=names,
        own_classes=dataset.classes if unused else (),
        identity=config_hash({"data": dataset.identity, "classes": list(names)}),
        loaders={name: partial(load, loader) for name, loader in dataset.loaders.items()},
    )
