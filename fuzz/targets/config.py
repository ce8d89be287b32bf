"""Configurations: of compressions, strategies and campaigns, and what is said of files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from compd.cli.options.formats import overrides_of as wish_of_words
from compd.cli.options.formats import words_of
from compd.compress import Prune, Ptq, Qat, config_from_json, config_to_json
from compd.runtimes.metadata import class_names_of, overrides_of
from compd.search.settings import SearchSettings
from compd.search.strategies import STRATEGIES
from targets.contract import Broken, only_compd_errors
from targets.json_shapes import WORDS as JSON_WORDS
from targets.json_shapes import mutate_json as mutate

__all__ = ["WORDS", "entry", "mutate", "seeds"]

WORDS = (
    *JSON_WORDS,
    b"compress",
    b"strategy",
    b"settings",
    b"metadata",
    b"words",
    b"kind",
    b"name",
    b"qat",
    b"ptq",
    b"prune",
    b"given",
    b"amount",
    b"epochs",
    b"lr",
    b"batch",
    b"steps",
    b"queries",
    b"eps",
    b"norm",
    b"linf",
    b"l2",
    b"goal",
    b"severe",
    b"flip",
    b"limit",
    b"keep",
    b"seconds",
    b"compd.layout",
    b"compd.range",
    b"compd.mean",
    b"compd.std",
    b"compd.classes",
    b"NHWC",
    *(name.encode() for name in STRATEGIES),
)


def seeds() -> Iterator[bytes]:
    """Each compression, each strategy, each of the rest."""
    for compression in (Ptq(), Qat(), Prune()):
        yield json.dumps({"compress": config_to_json(compression)}).encode()
    for name in STRATEGIES:
        config = STRATEGIES.settings_of(STRATEGIES.make(name))
        yield json.dumps({"strategy": config}).encode()
    yield json.dumps({"settings": {"limit": 3, "eps": 8, "norm": "l2", "goal": "severe"}}).encode()
    yield json.dumps(
        {
            "metadata": {
                "compd.range": "0,255",
                "compd.mean": "0.5,0.5,0.5",
                "compd.classes": '["cat", "dog"]',
            }
        }
    ).encode()
    yield json.dumps({"words": "range=-1,1 bgr mean=0.5 layout=NHWC"}).encode()


def entry(data: bytes) -> None:
    """Read each part that is there."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(content, dict):
        return
    for name, part in content.items():
        if name in _PARTS:
            with only_compd_errors():
                _PARTS[name](part)


def _compression(part: Any) -> None:
    if isinstance(part, dict):
        config = config_from_json(part)
        if config_from_json(config_to_json(config)) != config:
            raise Broken("another configuration came back")


def _strategy(part: Any) -> None:
    """What the command line gives: numbers, texts and None."""
    if isinstance(part, dict) and isinstance(part.get("name"), str):
        known = {"int", "float", "str", "NoneType", "bool"}
        given = {k: v for k, v in part.items() if k != "name" and type(v).__name__ in known}
        STRATEGIES.make(part["name"], **_of_their_types(part["name"], given))


def _of_their_types(name: str, given: dict[str, Any]) -> dict[str, Any]:
    if name not in STRATEGIES:
        return given
    types = {f.name: type(f.default) for f in fields(STRATEGIES[name].config)}
    return {k: v for k, v in given.items() if k not in types or types[k] is type(v)}


def _settings(part: Any) -> None:
    types = {
        "limit": int,
        "eps": int,
        "norm": str,
        "goal": str,
        "random_seed": int,
        "keep": str,
        "seconds": (int, float),
        "strategy": str,
    }
    if isinstance(part, dict):
        SearchSettings(**{k: v for k, v in part.items() if k in types and isinstance(v, types[k])})


def _metadata(part: Any) -> None:
    if isinstance(part, dict):
        said = {key: value for key, value in part.items() if isinstance(value, str)}
        class_names_of(said)
        overrides_of(said, "model.onnx")


def _words(part: Any) -> None:
    if isinstance(part, str):
        wish_of_words(words_of(part))


_PARTS = {
    "compress": _compression,
    "strategy": _strategy,
    "settings": _settings,
    "metadata": _metadata,
    "words": _words,
}
