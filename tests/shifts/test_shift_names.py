"""Shifts as text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from compd.shifts import Shift, parse_shift, parse_shifts, shown


def test_a_shift_is_read_as_it_is_written() -> None:
    for text in ("fog:3", "awgn:0.2", "mnist_shear:5", "camera_brightness:-32", "fog:0"):
        assert str(parse_shift(text)) == text
    assert parse_shift("fog:3") == Shift("fog", 3)
    assert hash(parse_shift("fog:3.0")) == hash(Shift("fog", 3))


def test_kinds_and_groups_take_the_severities_that_they_have() -> None:
    assert [str(s) for s in parse_shifts("fog,awgn:0.02,fog:3, vertical")] == [
        "fog:1",
        "fog:3",
        "fog:5",
        "awgn:0.02",
        *(f"vertical:{k}" for k in (2, 3, 4, 5, 6)),
    ]
    cifar = parse_shifts("cifar10-c", severities=(5, 2))
    assert len(cifar) == 38
    assert [str(s) for s in cifar[:3]] == ["gaussian_noise:5", "gaussian_noise:2", "shot_noise:5"]
    digits = [str(s) for s in parse_shifts("mnist-c")]
    assert len(digits) == 16
    assert {"mnist_fog:5", "mnist_shear:2", "mnist_identity:1", "mnist_spatter:4"} <= set(digits)
    assert len(parse_shifts("noise")) == 8 + 8 + 5 + 5
    assert {s.severity for s in parse_shifts("cifar10-c:4")} == {4}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fgo", ["fgo", "did you mean 'fog'"]),
        ("cifar10", ["did you mean 'cifar10-c'"]),
        ("fog:6", ["severity 1, 2, 3, 4, 5 for fog", "6"]),
        ("fog:2.5", ["2.5"]),
        ("fog:x", ["KIND:LEVEL", "fog:x"]),
        ("awgn:nan", ["KIND:LEVEL"]),
        ("awgn:-1", ["a number above 0 up to 10", "deviation"]),
        ("jpeg:101", ["a whole number from 1 to 100 (quality)"]),
        ("", ["shift"]),
        ("noise:0.5", ["vertical"]),
    ],
)
def test_what_is_no_shift_is_refused(text: str, says: list[str], refuses: Callable) -> None:
    with refuses(*says):
        parse_shifts(text)


def test_one_shift_needs_a_level(refuses: Callable) -> None:
    with refuses("KIND:LEVEL", "severity 1, 2, 3, 4, 5"):
        parse_shift("fog")
    with refuses("did you mean 'snow'"):
        parse_shift("snwo")
    with refuses("severity 1, 2, 3, 4, 5 for fog", "severity=7"):
        parse_shifts("fog", severities=(1, 7))


def test_synthetic_frost_says_so() -> None:
    photos = (np.zeros((3, 40, 40), np.uint8),)
    assert shown(Shift("frost", 3)) == "frost (synthetic):3"
    assert shown(Shift("frost", 3), photos) == "frost:3"
    assert shown(Shift("fog", 3)) == "fog:3"
