"""Objectives: which deviations count."""

from __future__ import annotations

import pytest
import torch

from compd.errors import CompdError
from compd.search import LabelFlip, LeastMargin, SourceClass, TargetClass, flip

CLASSES = ("cat", "dog", "fox")
LABELS, SEVERITY = torch.tensor([0, 1, 2, 1]), torch.tensor([0.9, 0.1, 0.5, 0.6])


def test_each_kind_counts_what_it_says() -> None:
    assert LabelFlip().holds(LABELS, SEVERITY, CLASSES).tolist() == [True] * 4
    assert SourceClass("cat").holds(LABELS, SEVERITY, CLASSES).tolist() == [True] * 4
    assert (
        TargetClass("cat").holds(LABELS, SEVERITY, CLASSES).tolist() == [True, False] + [False] * 2
    )
    assert LeastMargin(0.5).holds(LABELS, SEVERITY, CLASSES).tolist() == [True, False, True, True]


def test_parts_are_combined() -> None:
    both = flip("cat", "dog") & LeastMargin(0.2)
    assert both.holds(LABELS, SEVERITY, CLASSES).tolist() == [False, False, False, True]
    assert (both.source, both.target) == ("cat", "dog")
    assert [part["kind"] for part in both.to_json()] == [
        "SourceClass",
        "TargetClass",
        "LeastMargin",
    ]
    both.check(CLASSES)


def test_contradictions_and_unknown_classes_are_errors() -> None:
    with pytest.raises(CompdError, match="one target class"):
        TargetClass("cat") & TargetClass("dog")
    with pytest.raises(CompdError, match="did you mean 'dog'"):
        TargetClass("dgo").check(CLASSES)
    with pytest.raises(CompdError, match="two different classes"):
        flip("cat", "cat").check(CLASSES)
    with pytest.raises(CompdError, match=r"0\.\.1"):
        LeastMargin(1.5)
