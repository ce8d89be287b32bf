"""The bench of a study: sets of images, and what models answer to them, computed once.

Shifted images are made in parts while the models run on the part before, and only answers are
kept, in files: memory does not grow with the number of sets or images.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.corpus import Corpus
from compd.data import Split, Splits
from compd.files.storage import config_hash, disk_errors, write_atomic
from compd.images import pixel_hash
from compd.logits import disagrees, divergences, probabilities_of
from compd.models.inputs import fitting, predict
from compd.pair import Pair
from compd.pair.objects import CallableRuntime
from compd.runtimes import Runtime
from compd.search.judge import Verdict
from compd.shifts import Frost, Shift, apply_shift, shown
from compd.statistics import Share
from compd.system.devices import device_name
from compd.system.machine import cpu_flags, isa_limits, versions

__all__ = ["Answered", "Bench", "ImageSet"]

CLEAN = "clean"
_PART = 256  # images made and asked at a time, fewer where they are large


@dataclass(frozen=True)
class ImageSet:
    """Some images with their labels: untouched, shifted, or of another source."""

    name: str  # "clean", "fog:3", "camera-2"
    rows: str  # which rows of which data these are
    labels: Tensor  # int64 (N,); all UNKNOWN where nobody labelled the images
    images: Callable[[int, int], Tensor] = field(repr=False)  # start, stop -> uint8 (n, C, H, W)
    key: str = field(repr=False)  # of all that determines the images
    shift: Shift | None = None
    paired: bool = True  # whether image i was made of the clean set's image i

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> bool:
        """Whether somebody labelled the images."""
        return bool(len(self)) and int(self.labels[0]) >= 0


@dataclass(frozen=True)
class Answered:
    """What the two models of a pair say of a set."""

    images: ImageSet
    original: Tensor  # float32 logits (N, K)
    deployed: Tensor  # float32 logits (N, K)
    heads: tuple[str, str] = ("softmax", "softmax")

    @property
    def labels(self) -> tuple[Tensor, Tensor]:
        """int64 (N,) each: what an application answers that takes the first largest.

        What is not finite is no answer: -2 of the original, -3 of the deployed model.
        """
        return _answers(self.original, -2), _answers(self.deployed, -3)

    @property
    def apart(self) -> Tensor:
        """Bool (N,): where the two differ; a model that answers NaN differs."""
        first, second = self.labels
        return first != second

    @property
    def finite(self) -> Tensor:
        """Bool (N,): where both models answer with numbers."""
        return self.original.isfinite().all(1) & self.deployed.isfinite().all(1)

    def confidence(self, deployed: bool) -> Tensor:
        """float64 (N,): the probability of one model's answer, as its user sees it, 0..1."""
        logits = self.deployed if deployed else self.original
        return probabilities_of(logits.double(), self.heads[deployed]).amax(1)

    def probabilities(self, deployed: bool) -> Tensor:
        """float64 (N, K) of one of the models, in rows that add up to 1."""
        logits = self.deployed if deployed else self.original
        found = probabilities_of(logits.double(), self.heads[deployed])
        return found / found.sum(1, keepdim=True).clamp(min=1e-300)

    def margins(self, deployed: bool) -> Tensor:
        """float64 (N,): p(top-1) - p(top-2) of one of the models, as a user sees them, 0..1."""
        return margins_of(self.deployed if deployed else self.original, self.heads[deployed])

    def right(self, deployed: bool) -> Tensor:
        """Bool (N,): where one of the models gives the label of the data."""
        return self.labels[deployed] == self.images.labels

    def accuracy(self, deployed: bool) -> float | None:
        """Share of right answers of one of the models, 0..1; None where nobody labelled them."""
        return float(self.right(deployed).double().mean()) if self.images.labelled else None

    @property
    def accuracy_change(self) -> float | None:
        """The deployed model's accuracy minus the original's."""
        before, after = self.accuracy(False), self.accuracy(True)
        return None if before is None or after is None else after - before

    @property
    def disagreement(self) -> Share:
        """Images on which the two differ."""
        return Share.count_of(int(self.apart.sum()), len(self.apart))

    @property
    def divergence(self) -> float | None:
        """Mean KL(original || deployed) in nats, where both are finite; None where none is."""
        known = self.finite
        if not known.any():
            return None
        deployed, original = self.deployed[known].double(), self.original[known].double()
        return float(divergences(deployed, original).mean())


class Bench:
    """A pair, sets of images, and the answers of models to them.

    Args:
        pair: that is studied.
        rows: clean images, from which shifted ones are made.
        splits: the data they are of, for studies that train or calibrate; None: there is none.
        shifts: what is done to the rows, one set each.
        others: further sets, of another source.
        corpus: of stored deviations, for studies that ask what becomes of them.
        random_seed: of all draws.
        frost: photographs for the shift of that name; None for a synthetic texture.
        folder: where answers are kept for the next time; None keeps them while the bench lives.
        control: told of progress, and asked whether to stop.
    """

    def __init__(
        self,
        pair: Pair,
        rows: Split,
        *,
        splits: Splits | None = None,
        shifts: Sequence[Shift] = (),
        others: Sequence[ImageSet] = (),
        corpus: Corpus | None = None,
        random_seed: int = 0,
        frost: Frost | None = None,
        folder: Path | None = None,
        control: Control = QUIET,
    ) -> None:
        pair.check_input(rows.images, "clean images")
        self.pair, self.rows, self.splits, self.corpus = pair, rows, splits, corpus
        self.random_seed, self.control = random_seed, control
        self._frost = frost
        self._passing = tempfile.TemporaryDirectory()
        self._folder = folder or Path(self._passing.name)
        self._hashes = [pixel_hash(image) for image in rows.images]
        self.clean = self._shifted(None)
        self.shifted = tuple(self._shifted(shift) for shift in shifts)
        self.others = tuple(others)

    @property
    def sets(self) -> tuple[ImageSet, ...]:
        """All sets, the clean one first."""
        return (self.clean, *self.shifted, *self.others)

    def answers(self, images: ImageSet, pair: Pair | None = None) -> Answered:
        """What the two models of a pair say of a set.

        Args:
            images: one of the sets.
            pair: the bench's own if None.

        Raises:
            Stopped: if it was told to stop.
        """
        pair = pair or self.pair
        original, deployed = self.logits((pair.reference, pair.deployed), images)
        return Answered(images, original, deployed, pair.heads)

    def each(self, stage: str, pair: Pair | None = None) -> Iterator[Answered]:
        """The answers to set after set, with progress."""
        sets = self.sets
        for done, images in enumerate(sets):
            self.control.report(stage, done, len(sets), {"set": images.name})
            yield self.answers(images, pair)
        self.control.report(stage, len(sets), len(sets))

    def logits(self, runtimes: Sequence[Runtime], images: ImageSet) -> list[Tensor]:
        """float32 (N, K) of each model; what is on the disk is read, the rest is computed.

        Raises:
            Stopped: if it was told to stop.
        """
        places = [self._place(runtime, images) for runtime in runtimes]
        known = [_read(place, len(images)) for place in places]
        missing = [i for i, found in enumerate(known) if found is None]
        if missing:
            made = self._ask([runtimes[i] for i in missing], images)
            for i, logits in zip(missing, made, strict=True):
                buffer = io.BytesIO()
                np.save(buffer, logits.numpy(), allow_pickle=False)
                with disk_errors(places[i]):
                    write_atomic(places[i], buffer.getvalue(), sync=False)
                known[i] = logits
        return [logits for logits in known if logits is not None]

    def stored_margins(self) -> Tensor | None:
        """float64 (n,): the deployed model's margins on what deviates of the corpus, asked anew.

        None without a corpus.
        """
        if self.corpus is None:
            return None
        size = fitting(_PART, self.rows.images.shape[1:])
        records = [one for one in self.corpus if one.verdict is Verdict.EFFECTIVE]
        found = [torch.zeros(0, dtype=torch.float64)]
        for start in range(0, len(records), size):
            part = records[start : start + size]
            images = torch.stack([self.corpus.image(one) for one in part])
            self.pair.check_input(images, "entries of the corpus")
            kept = torch.tensor([one.seed_label for one in part])
            original, deployed = (
                predict(runtime.run, images, control=self.control)
                for runtime in (self.pair.reference, self.pair.deployed)
            )
            deviates = ~disagrees(original, kept) & disagrees(deployed, kept)
            found.append(margins_of(deployed, self.pair.heads[1])[deviates])
        return torch.cat(found)

    def _ask(self, runtimes: Sequence[Runtime], images: ImageSet) -> list[Tensor]:
        parts: list[list[Tensor]] = [[] for _ in runtimes]
        for part in _ahead(images, fitting(_PART, self.rows.images.shape[1:])):
            self.control.check()
            for runtime, answers in zip(runtimes, parts, strict=True):
                with self.control.clock.running():
                    said = predict(
                        runtime.run, part, batch=self.pair.batch_asked, control=self.control
                    )
                    answers.append(said.float())
        return [torch.cat(answers) for answers in parts]

    def _shifted(self, shift: Shift | None) -> ImageSet:
        rows, hashes, seed, frost = self.rows, self._hashes, self.random_seed, self._frost

        def make(start: int, stop: int) -> Tensor:
            images = rows.images[start:stop]
            if shift is None:
                return images
            some = hashes[start:stop]
            return apply_shift(shift, images, random_seed=seed, hashes=some, frost=frost)

        name = CLEAN if shift is None else shown(shift, frost)
        photographs = [hashlib.sha256(one.tobytes()).hexdigest() for one in frost or ()]
        key = {"images": hashes, "shift": name, "random_seed": seed, "frost": photographs}
        where = f"{rows.data} {rows.rows}"
        return ImageSet(name, where, rows.labels, make, config_hash(key), shift)

    def _place(self, runtime: Runtime, images: ImageSet) -> Path:
        folder = self._folder
        if isinstance(runtime, CallableRuntime):  # what it holds may have changed the next time
            folder = Path(self._passing.name)
        key: dict[str, Any] = {
            "model": runtime.content_hash,
            "engine": runtime.engine,
            "facts": {name: str(value) for name, value in runtime.facts.items()},
            "images": images.key,
            "threads": torch.get_num_threads(),
            "flags": cpu_flags(),
            "limits": isa_limits(),
            "device": device_name(self.pair.device),
            **versions(),
        }
        return folder / f"{config_hash(key)}.npy"


def _answers(logits: Tensor, none: int) -> Tensor:
    return logits.argmax(1).masked_fill(~logits.isfinite().all(1), none)


def margins_of(logits: Tensor, head: str) -> Tensor:
    """float64 (N,): p(top-1) - p(top-2) of logits, as a user of the model sees them, 0..1."""
    top = probabilities_of(logits.double(), head).topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def _ahead(images: ImageSet, size: int) -> Iterator[Tensor]:
    """The images in parts, each made while the one before is looked at."""
    with ThreadPoolExecutor(1) as maker:
        starts = range(0, len(images), size)
        waiting = maker.submit(images.images, 0, min(size, len(images)))
        for start in starts:
            part = waiting.result()
            if start + size < len(images):
                waiting = maker.submit(
                    images.images, start + size, min(start + 2 * size, len(images))
                )
            yield part


def _read(path: Path, count: int) -> Tensor | None:
    """Answers from a file; None where there are none, or something else."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
    if not isinstance(found, np.ndarray) or found.dtype != np.float32:
        return None
    return torch.from_numpy(found) if found.ndim == 2 and len(found) == count else None
