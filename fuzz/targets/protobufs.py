"""Mutations of a protobuf message that leave it one."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["mutate_message"]

_NUMBERS = (0, 1, 2, 3, 5, 7, -1, -2, 8, 64, 255, 2**16, 2**31 - 1, 2**31, 2**62, -(2**63), 10**9)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, float("inf"), float("nan"))


def mutate_message(message: Any, draw: random.Random, words: tuple[bytes, ...]) -> None:
    """Change one field somewhere inside of a message, in place.

    Args:
        message: any protobuf message.
        draw: of all choices.
        words: for texts and bytes.
    """
    places = list(_messages(message))
    target = draw.choice(places)
    fields = list(target.DESCRIPTOR.fields)
    present = [field for field, _ in target.ListFields()]
    field = draw.choice(present if present and draw.random() < 0.8 else fields)
    if field.is_repeated:
        _change_list(getattr(target, field.name), field, draw, words, places)
    elif draw.random() < 0.15:
        target.ClearField(field.name)
    elif field.message_type is not None:
        others = [m for m in places if m.DESCRIPTOR is field.message_type]
        if others and draw.random() < 0.7:
            getattr(target, field.name).CopyFrom(_apart(draw.choice(others)))
        else:
            getattr(target, field.name).SetInParent()
    else:
        setattr(target, field.name, _scalar(field, getattr(target, field.name), draw, words))


def _messages(message: Any) -> Any:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from _messages(inner)


def _change_list(
    values: Any, field: Any, draw: random.Random, words: tuple[bytes, ...], places: list[Any]
) -> None:
    what = draw.randrange(5)
    at = draw.randrange(len(values)) if len(values) else 0
    if what == 0 and len(values):
        del values[at]
    elif field.message_type is not None:
        others = [m for m in places if m.DESCRIPTOR is field.message_type]
        copied = _apart(draw.choice(others)) if others else None
        added = values.add()
        if copied is not None:
            added.CopyFrom(copied)
        if len(values) > 1 and what == 1:  # moved to another place
            kept = [_apart(value) for value in values]
            kept.insert(at, kept.pop())
            del values[:]
            values.extend(kept)
    elif what == 1 and len(values):
        values.append(values[at])
    elif what == 2 and len(values) > 1:
        values[at], values[0] = values[0], values[at]
    elif len(values) and what == 3:
        values[at] = _scalar(field, values[at], draw, words)
    else:
        values.append(_scalar(field, None, draw, words))


def _apart(message: Any) -> Any:
    """A copy that is no part of anything: a message cannot be copied into a part of itself."""
    return type(message).FromString(message.SerializeToString())


def _scalar(field: Any, old: Any, draw: random.Random, words: tuple[bytes, ...]) -> Any:
    if field.enum_type is not None:
        return draw.choice(list(field.enum_type.values_by_number))
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return draw.choice(_FLOATS)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return draw.random() < 0.5
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            data = bytearray(old or b"")
            if data and draw.random() < 0.6:
                data[draw.randrange(len(data))] = draw.randrange(256)
            elif draw.random() < 0.5:
                data = data[: draw.randrange(len(data) + 1)]
            else:
                data += draw.choice(words)
            return bytes(data)
        return draw.choice(words).decode(errors="replace")
    number = draw.choice(_NUMBERS) if draw.random() < 0.6 else (old or 0) + draw.choice((-1, 1, 2))
    low, high = {
        field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
        field.CPPTYPE_UINT32: (0, 2**32 - 1),
        field.CPPTYPE_UINT64: (0, 2**64 - 1),
    }.get(field.cpp_type, (-(2**63), 2**63 - 1))
    return max(low, min(high, number))
