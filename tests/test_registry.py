"""Plug-ins by name: configurations from text and settings, and back."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compd import registry
from compd.errors import CompdError, CompdWarning
from compd.registry import Registry


@dataclass(frozen=True)
class Walk:
    steps: int = 8
    stride: float = 0.5
    norm: str = "linf"
    fast: bool = False
    most: int | None = None


@dataclass(frozen=True)
class Other:
    noise: int = 1


@dataclass(frozen=True)
class Entry:
    config: type[Any]


def table() -> Registry[Entry]:
    return Registry("strategy", {"walk": Entry(Walk)}, kind=Entry, group="compd.tests.none")


@given(
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["linf", "l2"]),
    st.booleans(),
    st.integers(0, 99) | st.none(),
)
def test_what_is_written_is_read(
    steps: int, stride: float, norm: str, fast: bool, most: int | None
) -> None:
    config = Walk(steps, stride, norm, fast, most)
    said = f"walk:steps={steps}, stride={stride!r},norm={norm},fast={str(fast).lower()}"
    said += "" if most is None else f",most={most}"
    assert table().parse(said) == config
    settings = table().settings_of(config)
    assert settings.pop("name") == "walk"
    assert table().make("walk", **settings) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wlak", "did you mean 'walk'"),
        ("walk:steps", "NAME:SETTING=VALUE"),
        ("walk:steps=many", "a number for steps"),
        ("walk:steps=1.5", "a number for steps"),
        ("walk:fast=perhaps", "true or false for fast"),
        ("walk:depth=3", "depth with strategy (none has it)"),
    ],
)
def test_what_makes_no_sense_is_one_line(text: str, said: str) -> None:
    with pytest.raises(CompdError) as raised:
        table().parse(text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_settings_given_beside_the_text_win_and_none_keeps_the_text() -> None:
    assert table().parse("walk:steps=3,most=5", steps=4, most=None) == Walk(steps=4, most=5)


def test_a_setting_of_another_entry_is_named_with_it() -> None:
    entries = table()
    entries.register("other", Entry(Other))
    with pytest.raises(CompdError, match="noise with strategy other"):
        entries.make("walk", noise=2)
    assert entries.name_of(Other()) == "other"


def test_a_name_is_registered_once() -> None:
    entries = table()
    entries.register("walk", Entry(Walk))  # the same again: as when a module is imported twice
    with pytest.raises(CompdError, match="new name"):
        entries.register("walk", Entry(Other))
    assert entries.make("walk") == Walk()


def test_a_configuration_of_no_entry_is_an_error() -> None:
    with pytest.raises(CompdError, match="Other"):
        table().name_of(Other())


def test_a_plug_in_that_does_not_load_is_named_to_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = EntryPoint("broken", "no_such_package_at_all:entry", "compd.tests.none")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    entries = table()
    assert list(entries) == ["walk"]  # the others go on as they were
    assert entries.name_of(Walk()) == "walk"
    with pytest.raises(CompdError, match="'broken' to load from 'no_such_package_at_all:entry'"):
        entries.make("broken")


def test_a_plug_in_that_takes_a_known_name_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("walk", "tests_of_nothing:entry", "compd.tests.none")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    entries = table()
    with pytest.warns(CompdWarning, match="'walk' to load from 'tests_of_nothing:entry'"):
        assert list(entries) == ["walk"]
    assert entries.make("walk") == Walk()


@dataclass(frozen=True)
class Bare:
    noise: int


@pytest.mark.parametrize(
    ("entry", "said"),
    [(Walk, "as a Entry, got type"), (Entry(int), "a frozen dataclass"), (Entry(Bare), "'noise'")],
)
def test_an_entry_is_what_it_has_to_be(entry: Any, said: str) -> None:
    with pytest.raises(CompdError, match=said):
        table().register("mine", entry)
