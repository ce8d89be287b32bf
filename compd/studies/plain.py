"""Frozen results to JSON objects and back."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar, cast

from compd.errors import InputError

__all__ = ["from_plain", "to_plain"]

T = TypeVar("T")


def to_plain(result: Any) -> dict[str, Any]:
    """A result, a dataclass, as a JSON object."""
    return asdict(result)


def from_plain(kind: type[T], data: Any) -> T:
    """The inverse of :func:`to_plain`.

    Raises:
        CompdError: if the object has other fields, or values of other types.
    """
    return cast(T, _value(kind, data, kind.__name__))


def _value(kind: Any, data: Any, where: str) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, data, where)
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in inner:
            return None
        return _value(next(one for one in inner if one is not type(None)), data, where)
    if origin is tuple and isinstance(data, list | tuple):
        kinds = [inner[0]] * len(data) if inner[-1] is ... else list(inner)
        if len(kinds) == len(data):
            return tuple(_value(k, v, where) for k, v in zip(kinds, data, strict=True))
    elif origin is not None and issubclass(origin, Mapping) and isinstance(data, Mapping):
        return {key: _value(inner[1], value, f"{where}.{key}") for key, value in data.items()}
    elif kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    elif kind in (int, str, bool) and type(data) is kind:
        return data
    raise InputError(f"expected {where} as {kind}, got {data!r:.60}")


def _record(kind: type[Any], data: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    wanted = [field.name for field in fields(kind)]
    if not isinstance(data, Mapping) or set(data) != set(wanted):
        got = ", ".join(map(str, data)) if isinstance(data, Mapping) else f"{data!r:.60}"
        raise InputError(f"expected {where} with {', '.join(wanted)}, got {got}")
    return kind(**{name: _value(hints[name], data[name], f"{where}.{name}") for name in wanted})
