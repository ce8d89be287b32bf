"""Labelled images in memory, and how they are cut into disjoint splits.

A data set has a ``train`` part and perhaps a ``test`` part of its own. Parts are loaded on first
use, so that a campaign over test seeds never decodes the training images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from compd.errors import InputError
from compd.sizes import Size
from compd.text import shortened

__all__ = ["UNKNOWN", "Dataset", "Part", "Split", "Splits", "part_of"]

UNKNOWN = -1  # label of an image that nobody labelled

_NAMES = ("train", "calibration", "selection", "seeds", "heldout")
_SHUFFLE_SEED = 0  # fixed: the splits of a data set are a property of its files


@dataclass(frozen=True)
class Part:
    """One stored part of a data set, in the order in which splits are cut from it."""

    images: Tensor  # uint8 (N, C, H, W)
    labels: Tensor  # int64 (N,); all UNKNOWN where nobody labelled the images
    index: Tensor  # int64 (N,): the row of each image in its source
    shuffled: bool  # whether that order differs from the source's
    # bool (N,): scaled to another aspect ratio, though nobody said so; None: no image was
    stretched: Tensor | None = None
    # int64 (N,): labels of the data set's own classes, where these are not the model's; else None
    own: Tensor | None = None

    def __repr__(self) -> str:
        return f"Part({_pictures(self.images)})"


def _pictures(images: Tensor) -> str:
    """How many images of which shape: ``359 images 3x32x32``."""
    return f"{len(images)} images {'x'.join(map(str, images.shape[1:]))}"


def _some(values: Tensor | None, rows: Tensor | slice) -> Tensor | None:
    return None if values is None else values[rows]


def _joined(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])


def part_of(
    images: Tensor, labels: Tensor, classes: int, where: str, *, stretched: Tensor | None = None
) -> Part:
    """Make a part; rows that come sorted by class are shuffled with a fixed seed.

    Raises:
        CompdError: if a label lies outside 0..classes-1 or fewer than two classes occur.
    """
    present = torch.unique(labels)
    if len(present) < 2:
        raise InputError(
            f"expected images of at least two classes, got {len(present)} in {where}; "
            "a model that knows one class cannot change its answer"
        )
    if int(present[0]) < 0 or int(present[-1]) >= classes:
        raise InputError(
            f"expected labels in 0..{classes - 1}, got {int(present[0])}..{int(present[-1])} "
            f"in {where}"
        )
    index = torch.arange(len(labels))
    runs = int((labels[1:] != labels[:-1]).sum()) + 1
    shuffled = runs < 1.5 * len(present) and len(labels) > 4 * len(present)
    if shuffled:  # stored class by class: the first half would hold half of the classes
        index = torch.from_numpy(np.random.default_rng(_SHUFFLE_SEED).permutation(len(labels)))
        images, labels = images[index], labels[index]
        stretched = _some(stretched, index)
    return Part(images, labels, index, shuffled, stretched)


@dataclass(frozen=True)
class Dataset:
    """A labelled data set whose parts load on first use.

    Args:
        name: what reports call it.
        identity: hash of all files (or of the embedded data) it is read from.
        classes: names of the classes, in label order.
        channels: 1 or 3.
        size: height and width.
        mirror: whether a mirrored image keeps its label (false for digits).
        small: whether small networks and a minute of training are enough for it.
        resize: how its images were scaled, as :class:`compd.data.resize.Resize` spells it; empty
            where nobody said it.
        own_classes: names of its own classes, where these are not the model's and the images count
            as unlabelled; else none.
        loaders: ``train`` and perhaps ``test``, each returning its part.
    """

    name: str
    identity: str
    classes: tuple[str, ...]
    channels: int
    size: Size
    mirror: bool
    loaders: Mapping[str, Callable[[], Part]] = field(repr=False)
    small: bool = False
    resize: str = ""
    own_classes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shape = "x".join(map(str, (self.channels, *self.size)))
        return shortened(f"Dataset({self.name}: {len(self.classes)} classes, {shape})")

    @cached_property
    def train(self) -> Part:
        """The part that training rows come from."""
        return self.loaders["train"]()

    @cached_property
    def test(self) -> Part | None:
        """The data set's own test part; None if it has none."""
        return self.loaders["test"]() if "test" in self.loaders else None


@dataclass(frozen=True)
class Split:
    """Some rows of a data set, under the name of their use."""

    data: str  # name of the data set
    name: str
    source: str  # "train", "test" or "all"
    start: int  # positions start..stop of the part's order
    images: Tensor  # uint8 (N, C, H, W)
    labels: Tensor  # int64 (N,); all UNKNOWN where nobody labelled the images
    index: Tensor  # int64 (N,): rows in the source
    shuffled: bool
    stretched: Tensor | None = None  # bool (N,): as of their part
    own: Tensor | None = None  # int64 (N,): as of their part
    own_classes: tuple[str, ...] = ()  # that these are labels of

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        name = self.name if self.name == self.data else f"{self.data} {self.name}"
        return shortened(f"Split({name}: {_pictures(self.images)}, rows {self.rows})")

    def first(self, count: int) -> Split:
        """Its first rows; all of them if there are no more."""
        return self if count >= len(self) else self.part(0, count)

    def part(self, start: int, stop: int) -> Split:
        """Some rows that follow each other."""
        return replace(self.chosen(slice(start, stop)), start=self.start + start)

    def chosen(self, rows: Tensor | slice) -> Split:
        """Any rows of it, int64 (n,)."""
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            index=self.index[rows],
            stretched=_some(self.stretched, rows),
            own=_some(self.own, rows),
        )

    @property
    def labelled(self) -> bool:
        """Whether somebody labelled the images."""
        return bool(len(self)) and int(self.labels[0]) != UNKNOWN

    @property
    def rows(self) -> str:
        """Which rows these are, as reports print them."""
        stop = self.start + len(self)
        order = f" of a fixed shuffle (seed {_SHUFFLE_SEED})" if self.shuffled else ""
        return f"{self.source}[{self.start}:{stop}]{order}"

    def row(self, i: int) -> str:
        """Identity of one image: its part and its row there, for example ``test[12]``."""
        return f"{self.source}[{int(self.index[i])}]"


class Splits:
    """Five disjoint splits of a data set.

    With a test part of its own, ``seeds`` is its first half and ``heldout`` its second (COMPD,
    section 4.1); otherwise both are carved out of the only part, as are all others.
    Calibration and selection are the last rows of the training rows.

    Args:
        dataset: to cut.
        trains: whether anything is trained on it. If not, there are two splits only: a quarter (at
            most 512 rows, of a training part if there is one) for calibration, the rest seeds.
    """

    def __init__(self, dataset: Dataset, *, trains: bool = True) -> None:
        self.dataset = dataset
        self._trains = trains

    def __repr__(self) -> str:
        # to look at it reads no files: only the splits that were used are told
        names: tuple[str, ...] = _NAMES if self._trains else ("calibration", "seeds")
        if self.dataset.small:
            names = tuple(name for name in names if len(getattr(self, name)))
        read = ", ".join(f"{name} {len(vars(self)[name])}" for name in names if name in vars(self))
        return shortened(f"Splits({self.dataset.name}: {read or 'nothing read yet'})")

    @cached_property
    def _cuts(self) -> dict[str, tuple[Part, str, int, int]]:
        part, source = self.dataset.train, "train"
        total = len(part.labels)
        if not self._trains:
            return self._two_cuts()
        cuts = {}
        if "test" not in self.dataset.loaders:
            source = "all"
            # seeds and heldout take 20 % each from the end; the rest is for training
            heldout, seeds = total - total // 5, total - 2 * (total // 5)
            cuts = {
                "seeds": (part, source, seeds, heldout),
                "heldout": (part, source, heldout, total),
            }
            total = seeds
        calibration = min(1024, total // 10)
        selection = min(2500, total // 10)
        a, b = total - selection - calibration, total - selection
        cuts |= {
            "train": (part, source, 0, a),
            "calibration": (part, source, a, b),
            "selection": (part, source, b, total),
        }
        return cuts

    def _two_cuts(self) -> dict[str, tuple[Part, str, int, int]]:
        part, test = self.dataset.train, self.dataset.test
        total = len(part.labels)
        calibration = min(512, max(1, total // 4))
        if test is not None:
            return {
                "calibration": (part, "train", 0, calibration),
                "seeds": (test, "test", 0, len(test.labels)),
            }
        return {
            "calibration": (part, "all", total - calibration, total),
            "seeds": (part, "all", 0, total - calibration),
        }

    def _split(self, name: str) -> Split:
        if not self._trains and name not in self._cuts:
            raise InputError(f"expected a data set that something is trained on, for its {name}")
        if self._trains and name in ("seeds", "heldout") and self.dataset.test is not None:
            part, source = self.dataset.test, "test"
            half = len(part.labels) // 2
            start, stop = (0, half) if name == "seeds" else (half, len(part.labels))
        else:
            part, source, start, stop = self._cuts[name]
        if start >= stop:
            raise InputError(
                f"expected enough images for five splits, got {len(part.labels)} in "
                f"{self.dataset.name!r}, which leaves none for {name}; add images"
            )
        span = slice(start, stop)
        return Split(
            self.dataset.name,
            name,
            source,
            start,
            part.images[span],
            part.labels[span],
            part.index[span],
            part.shuffled,
            _some(part.stretched, span),
            _some(part.own, span),
            self.dataset.own_classes,
        )

    @cached_property
    def train(self) -> Split:
        """Rows that weights are trained on."""
        return self._split("train")

    @cached_property
    def calibration(self) -> Split:
        """Rows that set the quantisers' ranges."""
        return self._split("calibration")

    @cached_property
    def selection(self) -> Split:
        """Rows whose accuracy is watched while weights are trained."""
        return self._split("selection")

    @cached_property
    def seeds(self) -> Split:
        """Rows that the search starts from."""
        return self._split("seeds")

    @cached_property
    def heldout(self) -> Split:
        """Rows that neither search nor repair ever touches."""
        return self._split("heldout")

    def test(self, limit: int | None = None) -> Split:
        """Seeds and held-out rows (if any) together: what accuracies are measured on.

        Args:
            limit: only so many of them, the first ones; None for all.
        """
        seeds = self.seeds
        if not self._trains or (limit is not None and limit <= len(seeds)):
            return seeds if limit is None else seeds.first(limit)  # without a copy of them all
        heldout = self.heldout
        whole = Split(
            self.dataset.name,
            "test",
            seeds.source,
            seeds.start,
            torch.cat([seeds.images, heldout.images]),
            torch.cat([seeds.labels, heldout.labels]),
            torch.cat([seeds.index, heldout.index]),
            seeds.shuffled,
            _joined(seeds.stretched, heldout.stretched),
            _joined(seeds.own, heldout.own),
            seeds.own_classes,
        )
        return whole if limit is None else whole.first(limit)
