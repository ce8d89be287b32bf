"""The same images on several runtimes, against a count by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compd.control import Control, Progress
from compd.errors import CompdError
from compd.images import pixel_hash
from compd.pair.comparison import compare
from compd.runtimes import Runtime


class Table(Runtime):
    """Answers image i, which is of colour i, with row i."""

    def __init__(self, name: str, rows: list[list[float]]) -> None:
        self.rows, self.batches = torch.tensor(rows).float(), []
        self._name = name

    @property
    def engine(self) -> str:
        return self._name

    @property
    def content_hash(self) -> str:
        return self._name * 3

    def run(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        return self.rows[images[:, 0, 0, 0].long()]


IMAGES = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 2, 2).contiguous()
NAMES = ["zero", "one", "two", "three"]
ONE = Table("one", [[9, 0, 0], [0, 3, 0], [0, 2, 2], [5, 0, 0]])
TWO = Table("two", [[7, 0, 0], [0, 0, 4], [0, 0, 2], [0, 5, 0]])


def test_disagreements_are_counted_and_ties_are_none() -> None:
    found = compare({"a": ONE, "b": TWO}, IMAGES, NAMES, batch=3)
    assert found.names == ("a", "b")
    assert found.engines == ("one", "two")
    assert found.hashes == ("oneoneone", "twotwotwo")
    # the third image: one ties its 1 with two's 2, which two alone does not
    assert found.apart == ((0, 3), (2, 0))
    assert {parting.name: parting.labels for parting in found.partings} == {
        "one": (1, 2),
        "two": (1, 2),
        "three": (0, 1),
    }
    assert found.partings[0].name == "three"  # the surest first
    margins = [float(rows.softmax(1)[3].sort().values.diff()[-1]) for rows in (ONE.rows, TWO.rows)]
    assert found.partings[0].margin == pytest.approx(min(margins), abs=1e-6)
    assert found.partings[0].sha256 == pixel_hash(IMAGES[3])
    assert found.deviates is None
    assert set(ONE.batches) == {3, 1}


def test_labels_of_seeds_say_who_deviates() -> None:
    found = compare({"a": ONE, "b": TWO}, IMAGES, NAMES, labels=torch.tensor([0, 1, 2, 0]))
    assert found.deviates == (0, 2)


def test_logits_are_compared_where_each_image_is_centred() -> None:
    shifted = Table("three", (ONE.rows + 100).tolist())
    found = compare({"a": ONE, "b": shifted}, IMAGES, NAMES)
    assert found.logits_apart[0][1] == pytest.approx(0, abs=1e-5)
    assert found.partings == ()


def test_progress_is_told() -> None:
    heard: list[Progress] = []
    compare({"a": ONE, "b": TWO}, IMAGES, NAMES, control=Control(heard.append))
    assert [(one.done, one.total) for one in heard] == [(0, 2), (1, 2), (2, 2)]


def test_what_cannot_be_compared_is_an_error() -> None:
    with pytest.raises(CompdError, match="two runtimes or more"):
        compare({"a": ONE}, IMAGES, NAMES)
    with pytest.raises(CompdError, match="3 of a, 2 of b"):
        compare({"a": ONE, "b": Table("b", [[0, 1]] * 4)}, IMAGES, NAMES)
