"""TFLite files: read, and walked into a module."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from targets.contract import only_compd_errors, scratch

try:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    schema = None
    MISSING = "the package ai-edge-litert is not installed: pip install 'compd[litert]'"

from compd.tflite import read_tflite, to_module

__all__ = ["WORDS", "entry", "mutate", "seeds"]

WORDS = (
    b"TFL3",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
)  # its texts are names: nothing depends on them

_ASSETS = Path(__file__).parents[2] / "tests" / "assets"
_ODD = (-(2**31), -129, -2, -1, 0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 65535, 2**20, 2**31 - 1)


def seeds() -> Iterator[bytes]:
    """The same small network in floats, in half precision, hybrid and in integers."""
    if schema is None:
        return
    for name in ("float", "float16", "hybrid", "int8"):
        yield (_ASSETS / f"{name}.tflite").read_bytes()


def mutate(data: bytes, most: int, seed: int) -> bytes | None:
    """Change one to three claims of the file, whose offsets stay right."""
    draw = random.Random(seed)
    if draw.random() < 0.2:
        return None
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        objects = list(_objects(model))
        for _ in range(draw.randint(1, 3)):
            _change(draw.choice(objects), objects, draw)
        builder = flatbuffers.Builder(len(data))
        builder.Finish(model.Pack(builder), b"TFL3")
    except Exception:  # whatever the schema's classes raise for what is no model any more
        return None
    made = bytes(builder.Output())
    return made if len(made) <= most else None


def entry(data: bytes) -> None:
    """Read, and convert for kernels of either kind."""
    path = scratch() / "model.tflite"
    path.write_bytes(data)
    with only_compd_errors():
        model = read_tflite(path)
        for doubling in (False, True):
            to_module(model, doubling=doubling)


def _objects(thing: Any) -> Iterator[Any]:
    """All tables of the file, as objects."""
    if isinstance(thing, list):
        for one in thing:
            yield from _objects(one)
    elif type(thing).__name__.endswith("T") and hasattr(thing, "__dict__"):
        yield thing
        for value in vars(thing).values():
            yield from _objects(value)


def _change(thing: Any, objects: list[Any], draw: random.Random) -> None:
    fields = [name for name, value in vars(thing).items() if value is not None]
    if not fields:
        return
    name = draw.choice(fields)
    value = getattr(thing, name)
    if isinstance(value, bool):
        setattr(thing, name, not value)
    elif isinstance(value, int):
        setattr(thing, name, draw.choice((value + 1, value - 1, *_ODD)))
    elif isinstance(value, float):
        setattr(thing, name, draw.choice((0.0, -1.0, 1e30, float("nan"), float("inf"))))
    elif isinstance(value, np.ndarray) and len(value):
        made = value.copy()
        if draw.random() < 0.3:
            made = made[: draw.randrange(len(made))]
        else:
            at = draw.randrange(len(made))
            odd = draw.choice((0, 1, -1, 3, 127, made[at] + 1))
            made[at] = np.asarray(odd).astype(made.dtype)
        setattr(thing, name, made)
    elif isinstance(value, list) and value:
        at = draw.randrange(len(value))
        if draw.random() < 0.5:
            value.insert(draw.randrange(len(value)), value[at])
        else:
            del value[at]
    else:
        same = [one for one in objects if type(one) is type(thing) and one is not thing]
        if same:
            setattr(thing, name, getattr(draw.choice(same), name))
