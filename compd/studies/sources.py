"""Sets of images from elsewhere: another data set, or published arrays of shifted images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from compd.data import Split, load_data, named_for
from compd.errors import InputError, SettingError
from compd.files.storage import config_hash
from compd.images import pixel_hash
from compd.pair import Pair
from compd.shifts import PublishedSet, published_sets
from compd.studies.bench import ImageSet
from compd.text import shortened

__all__ = ["natural_set", "published"]


def natural_set(pair: Pair, data: str, limit: int | None) -> ImageSet:
    """Another data set of a pair's classes: its test part, or else all of it.

    Args:
        pair: that looks at it.
        data: its name or folder.
        limit: images at most, the first ones; None for all.

    Raises:
        CompdError: if it is not there, or has other classes or another shape.
    """
    model = pair.spec.model
    dataset = load_data(
        data,
        channels=model.channels or 3,
        size=model.size or None,
        resize=pair.spec.resize or None,
        unlabelled=not pair.rebuilds,
    )
    _check_classes(pair, data, dataset.classes)
    dataset = named_for(dataset, len(pair.classes), names=pair.classes)
    source = "test" if "test" in dataset.loaders else "all"
    part = dataset.test or dataset.train
    rows = Split(
        dataset.name, "natural", source, 0, part.images, part.labels, part.index, part.shuffled
    )
    rows = rows if limit is None else rows.first(limit)
    pair.check_input(rows.images, f"images of {data!r}")
    hashes = [pixel_hash(image) for image in rows.images]
    return ImageSet(
        data,
        f"{rows.data} {rows.rows}",
        rows.labels,
        lambda start, stop: rows.images[start:stop],
        config_hash({"hashes": hashes}),
        paired=False,
    )


def _check_classes(pair: Pair, data: str, classes: tuple[str, ...]) -> None:
    """Raise where labels would mean something else; images without class folders have none."""
    unnamed = not pair.rebuilds and pair.classes == tuple(map(str, range(len(pair.classes))))
    if len(classes) < 2 or (unnamed and len(classes) == len(pair.classes)):
        return
    strangers = [name for name in classes if name not in pair.classes]
    if strangers:
        raise InputError(
            f"expected classes of the pair ({shortened(', '.join(pair.classes), 80)}), got "
            f"{strangers[0]!r} in natural={data!r}; rename its folders, or put the images in one "
            "folder without subfolders"
        )


def published(
    pair: Pair, folder: Path, severities: Sequence[float], limit: int | None
) -> list[ImageSet]:
    """The published sets of a folder, of some severities.

    Args:
        pair: that looks at them.
        folder: as :func:`compd.shifts.published_sets` reads it.
        severities: of kinds that have five of them; of others the published one.
        limit: images of each at most, the first ones; None for all.

    Raises:
        CompdError: if they are no such arrays, or of other classes or another shape.
    """
    found = published_sets(folder)
    chosen = [
        one
        for one in found
        if one.shift.severity in severities or one.shift.kind.startswith("mnist_")
    ]
    if not chosen:
        raise SettingError("published severities 1 to 5", severities=tuple(severities))
    return [_published(pair, one, limit) for one in chosen]


def _published(pair: Pair, one: PublishedSet, limit: int | None) -> ImageSet:
    count = len(one.images) if limit is None else min(limit, len(one.images))
    labels = one.labels[:count]
    pair.check_input(one.images[:1], f"published images of {one.shift}")
    if count and int(labels.max()) >= len(pair.classes):
        raise InputError(
            f"expected labels of the pair's {len(pair.classes)} classes, got "
            f"{int(labels.max())} in the published {one.shift}"
        )

    def images(start: int, stop: int) -> Tensor:
        return one.images[start:stop]

    key = config_hash({"hashes": [pixel_hash(one.images[i]) for i in range(count)]})
    name = f"{one.shift} (published)"
    return ImageSet(
        name, f"published {one.shift}[0:{count}]", labels, images, key, one.shift, False
    )
