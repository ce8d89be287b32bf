"""Each class of a pair on clean images: accuracies and negative flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compd.pair.evaluation import Evaluation
from compd.report.sentence import name_words
from compd.statistics import Share

__all__ = ["ByClass", "ClassRow", "classes_of"]

_ROWS = 40


@dataclass(frozen=True)
class ClassRow:
    """One class on clean images."""

    name: str
    images: int  # clean ones of it
    original: Share  # right answers
    deployed: Share
    negative: Share  # only the original is right


@dataclass(frozen=True)
class ByClass:
    """A table of classes."""

    rows: tuple[ClassRow, ...]
    rest: ClassRow | None  # all others, summed
    images: int
    source: str  # rows of the data


def classes_of(seen: Evaluation, classes: Sequence[str], most: int = _ROWS) -> ByClass | None:
    """Sum up each class.

    Args:
        seen: the pair on clean images.
        classes: their names, by label.
        most: rows; those with most negative flips have their own.

    Returns:
        None where nobody labelled the images.
    """
    if not seen.split.labelled or not len(seen):
        return None
    labels = seen.split.labels.tolist()
    right, shipped = seen.right(seen.original).tolist(), seen.right(seen.deployed).tolist()
    counts = [[0, 0, 0, 0] for _ in classes]  # images, original right, deployed right, negative
    for label, before, after in zip(labels, right, shipped, strict=True):
        if 0 <= label < len(counts):
            one = counts[label]
            one[0] += 1
            one[1] += before
            one[2] += after
            one[3] += before and not after
    order = sorted(range(len(classes)), key=lambda k: (-counts[k][3], k))
    kept = sorted(order[:most]) if len(classes) <= most else order[:most]
    rows = [_row(name_words(classes[k]), counts[k]) for k in kept]
    others = order[most:]
    summed = [sum(counts[k][i] for k in others) for i in range(4)]
    rest = _row(f"{len(others)} other classes", summed)
    return ByClass(tuple(rows), rest if others else None, len(seen), seen.split.rows)


def _row(name: str, counts: Sequence[int]) -> ClassRow:
    images, original, deployed, negative = counts
    return ClassRow(
        name,
        images,
        Share.count_of(original, images),
        Share.count_of(deployed, images),
        Share.count_of(negative, images),
    )
