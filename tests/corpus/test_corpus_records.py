"""One line of a corpus: what goes out comes back, and what came from elsewhere is judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compd.corpus.records import Minimised, Record, image_file
from compd.errors import CompdError
from compd.search.findings import Answer
from compd.search.judge import Verdict
from compd.text import printable

SHARES = st.floats(0, 1)
COUNTS = st.integers(0, 2**31 - 1)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
TEXTS = st.text(max_size=20).map(printable)  # no surrogates: Hypothesis leaves them out
JSON_VALUES = st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | TEXTS
MAPPINGS = st.dictionaries(TEXTS, JSON_VALUES, max_size=4)

ANSWERS = st.builds(
    Answer,
    label=COUNTS,
    name=TEXTS,
    confidence=SHARES,
    margin=SHARES,
    top=st.lists(st.tuples(TEXTS, SHARES), max_size=3).map(tuple),
)
RECORDS = st.builds(
    Record,
    sha256=HASHES,
    seed_sha256=HASHES,
    seed_data=TEXTS,
    seed_row=TEXTS,
    seed_label=COUNTS,
    true_label=COUNTS,
    verdict=st.sampled_from(Verdict),
    original=ANSWERS,
    deployed=ANSWERS,
    severity=SHARES,
    linf=st.integers(0, 255),
    l2=SHARES,
    psnr=st.none() | st.floats(0, 200),
    strategy=MAPPINGS,
    eps=st.none() | st.integers(1, 255),
    norm=st.sampled_from(["linf", "l2"]),
    step=COUNTS,
    random_seed=st.integers(),
    fingerprint=MAPPINGS,
)


@given(RECORDS)
def test_a_record_survives_its_line(record: Record) -> None:
    line = record.to_line()
    assert "\n" not in line
    assert "\r" not in line
    assert Record.from_line(line) == record
    assert Record.from_line(line).to_line() == line


@given(st.text() | JSON_VALUES.map(json.dumps))
def test_a_line_that_is_no_record_is_refused_in_one_line(line: str) -> None:
    with pytest.raises(CompdError) as caught:
        Record.from_line(line)
    assert "\n" not in str(caught.value)


def _leaves(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a JSON object."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    paths: list[tuple[Any, ...]] = []
    for key, value in items:
        paths.append((*path, key))
        if isinstance(value, dict | list):
            paths += _leaves(value, (*path, key))
    return paths


@given(RECORDS, st.data())
def test_one_changed_value_gives_a_record_or_one_line(record: Record, data: st.DataObject) -> None:
    content = json.loads(record.to_line())
    *parents, key = data.draw(st.sampled_from(_leaves(content)))
    place = content
    for parent in parents:
        place = place[parent]
    place[key] = data.draw(
        JSON_VALUES
        | st.integers(min_value=2**63)
        | st.sampled_from([[], {}, [[]], {"a": {}}, float("nan"), float("inf")])
    )
    try:
        changed = Record.from_line(json.dumps(content))
    except CompdError:
        return
    assert Record.from_line(changed.to_line()) == changed


def test_the_first_key_is_file_name(make_entry: Callable[..., Any]) -> None:
    record, _, _ = make_entry(0)
    content = json.loads(record.to_line())
    assert next(iter(content)) == "file_name"
    assert content["file_name"] == f"images/{record.sha256[:2]}/{record.sha256}.png"


def _spoil(line: str, path: str, value: Any) -> str:
    content = json.loads(line)
    *parents, key = path.split(".")
    place = content
    for parent in parents:
        place = place[parent]
    place[key] = value
    return json.dumps(content)


HASH = "ab" * 32


@pytest.mark.parametrize("key", ["file_name", "seed_file_name"])
@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        f"../{HASH}.png",
        f"/images/ab/{HASH}.png",
        f"images/cd/{HASH}.png",
        f"images/ab/../ab/{HASH}.png",
        f"images\\ab\\{HASH}.png",
        f"images/ab/{HASH.upper()}.png",
        f"images/ab/{HASH[:-2]}.png",
        f"images/ab/{HASH}.png\n",
        f"images/ab/{HASH}.png\0",
        f"images/ab/{HASH}",
        "",
        None,
        7,
        [image_file(HASH)],
    ],
)
def test_a_file_name_elsewhere_is_refused(
    make_entry: Callable[..., Any], key: str, name: object
) -> None:
    record, _, _ = make_entry(0)
    with pytest.raises(CompdError, match="expected a corpus record"):
        Record.from_line(_spoil(record.to_line(), key, name))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("severity", float("nan")),
        ("severity", float("inf")),
        ("severity", 1.5),
        ("severity", -0.1),
        ("severity", "0.5"),
        ("severity", None),
        ("severity", True),
        ("severity", 10**400),
        ("l2", []),
        ("psnr", float("-inf")),
        ("psnr", "high"),
        ("linf", 3.7),
        ("linf", 256),
        ("linf", -1),
        ("linf", True),
        ("eps", "8"),
        ("step", 2**64),
        ("random_seed", None),
        ("verdict", "splendid"),
        ("verdict", None),
        ("original", "cat"),
        ("original.label", "3"),
        ("original.label", -1),
        ("original.name", 3),
        ("original.name", "\ud800"),
        ("original.confidence", 1e300),
        ("original.margin", None),
        ("original.top", 7),
        ("original.top", [{"name": "cat"}]),
        ("original.top", [{"name": "cat", "p": 1e300}]),
        ("original.top", "cat"),
        ("source", None),
        ("source", []),
        ("source.row", 12),
        ("source.data", None),
        ("source.label", 1e9),
        ("strategy", None),
        ("strategy", [["name", "diva"]]),
        ("strategy", {"c": float("nan")}),
        ("fingerprint", "abc"),
        ("fingerprint", {"threads": float("inf")}),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(
    make_entry: Callable[..., Any], path: str, value: object
) -> None:
    record, _, _ = make_entry(0)
    with pytest.raises(CompdError, match="expected a corpus record"):
        Record.from_line(_spoil(record.to_line(), path, value))


def test_every_key_is_needed(make_entry: Callable[..., Any]) -> None:
    record, _, _ = make_entry(0)
    content = json.loads(record.to_line())
    for key in content:
        less = {name: value for name, value in content.items() if name != key}
        with pytest.raises(CompdError, match=key):
            Record.from_line(json.dumps(less))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "9" * 5000, "NaN", "Infinity"])
@pytest.mark.parametrize("key", ["severity", "linf", "psnr", "step"])
def test_numbers_beyond_all_bounds_are_refused(
    make_entry: Callable[..., Any], key: str, number: str
) -> None:
    content = json.loads(make_entry(0)[0].to_line()) | {key: "HERE"}
    with pytest.raises(CompdError, match="expected a corpus record"):
        Record.from_line(json.dumps(content).replace('"HERE"', number))


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_deep_nesting_is_refused(make_entry: Callable[..., Any], depth: int, pair: str) -> None:
    nested = "[" * depth + "]" * depth if pair == "[]" else '{"a":' * depth + "1" + "}" * depth
    content = json.loads(make_entry(0)[0].to_line()) | {"strategy": "HERE"}
    for line in (nested, json.dumps(content).replace('"HERE"', nested)):
        with pytest.raises(CompdError, match="expected a corpus record"):
            Record.from_line(line)


def test_a_number_that_json_does_not_have_is_never_written(make_entry: Callable[..., Any]) -> None:
    record, _, _ = make_entry(0, severity=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        record.to_line()


MADE = Minimised(
    HASH,
    (900, 7),
    (2000, 12),
    (4, 8),
    (0.01, 0.002),
    {"trials": 400, "eps": None, "random_seed": 0},
)


def test_what_an_entry_was_made_from_is_kept(make_entry: Callable[..., Any]) -> None:
    record, _, _ = make_entry(0, minimised=MADE)
    assert Record.from_line(record.to_line()) == record
    plain, _, _ = make_entry(0)
    assert "minimised" not in json.loads(plain.to_line())
    filled = json.loads(plain.to_line()) | {"minimised": None}
    assert Record.from_line(json.dumps(filled)) == plain


@pytest.mark.parametrize(
    "change",
    [
        {"from": "../x"},
        {"from": None},
        {"pixels": [1]},
        {"pixels": [1, 2, 3]},
        {"pixels": [-1, 2]},
        {"values": "ab"},
        {"l2": [0.5, 2.0]},
        {"linf": None},
        {"settings": {}},
        {"settings": {"trials": "9", "eps": None, "random_seed": 0}},
    ],
)
def test_a_broken_origin_is_refused(make_entry: Callable[..., Any], change: Any) -> None:
    content = json.loads(make_entry(0, minimised=MADE)[0].to_line())
    content["minimised"] |= change
    with pytest.raises(CompdError, match="expected a corpus record"):
        Record.from_line(json.dumps(content))
