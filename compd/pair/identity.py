"""What an object of this process is made of, as a hash: code, what it closes over, its state."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from compd.models import model_hash

__all__ = ["content_hash"]

_DEEPEST = 12  # objects inside of objects; what lies deeper counts by its type


def content_hash(thing: object) -> str:
    """SHA-256 (hex) of a callable: the same in each process, and another one for another model.

    It covers code and the code in it, constants, defaults, what is closed over, the globals that
    the code names, bound objects and their state, arrays, tensors and modules. What only the
    process knows (a session, a socket) counts by its type.
    """
    return _Walk().digest(thing).hex()


class _Walk:
    """One walk over an object; what it meets twice is told by where it was met first."""

    def __init__(self) -> None:
        self._met: dict[
            int, tuple[int, object]
        ] = {}  # the object stays alive: its id stays its own
        self._depth = 0

    def digest(self, thing: object) -> bytes:
        """Of anything."""
        kind = f"{type(thing).__module__}.{type(thing).__qualname__}".encode()
        if thing is None or thing is Ellipsis or isinstance(thing, bool | int | float | complex):
            return _sha(kind, repr(thing).encode())
        if isinstance(thing, str | bytes | bytearray):
            return _sha(kind, thing.encode() if isinstance(thing, str) else bytes(thing))
        if id(thing) in self._met:
            return _sha(b"again", str(self._met[id(thing)][0]).encode())
        if self._depth >= _DEEPEST:
            return _sha(kind)
        self._met[id(thing)] = len(self._met), thing
        self._depth += 1
        try:
            return _sha(kind, *self._parts(thing))
        finally:
            self._depth -= 1

    def _parts(self, thing: Any) -> Iterable[bytes]:
        if isinstance(thing, torch.Tensor):
            whole = thing.detach().dequantize() if thing.is_quantized else thing.detach()
            return self._parts(
                whole.cpu().float().numpy()
                if whole.dtype == torch.bfloat16
                else whole.cpu().numpy()
            )
        if isinstance(thing, np.ndarray | np.generic):
            data = np.ascontiguousarray(thing)
            return [str(data.dtype).encode(), str(data.shape).encode(), data.tobytes()]
        if isinstance(thing, nn.Module):
            return [model_hash(thing).encode()]
        if isinstance(thing, types.CodeType):
            return self._code(thing)
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, types.MethodType):
            return [self.digest(thing.__func__), self.digest(thing.__self__)]
        if isinstance(thing, partial):
            return [self.digest(part) for part in (thing.func, thing.args, thing.keywords)]
        if isinstance(thing, Mapping):
            return [self.digest(part) for pair in thing.items() for part in pair]
        if isinstance(thing, set | frozenset):  # each on its own: their order is nobody's
            return sorted(_Walk().digest(part) for part in thing)
        if isinstance(thing, list | tuple):
            return [self.digest(part) for part in thing]
        if isinstance(thing, type | types.ModuleType | types.BuiltinFunctionType):
            return [_name(thing)]
        return self._object(thing)

    def _code(self, code: types.CodeType) -> list[bytes]:
        names = (*code.co_names, "", *code.co_varnames, "", *code.co_freevars)
        return [code.co_code, self.digest(names), *map(self.digest, code.co_consts)]

    def _function(self, function: types.FunctionType) -> list[bytes]:
        known = function.__globals__
        named = [name for name in _names(function.__code__) if name in known]
        return [
            _name(function),
            self.digest(function.__code__),
            self.digest(function.__defaults__),
            self.digest(function.__kwdefaults__),
            *(self.digest(_inside(cell)) for cell in function.__closure__ or ()),
            *(self.digest((name, self._global(known[name], function))) for name in named),
        ]

    def _global(self, thing: Any, user: types.FunctionType) -> Any:
        """A global as it counts: the code of other packages by its name."""
        other = isinstance(thing, types.FunctionType) and thing.__module__ != user.__module__
        return _name(thing) if other else thing

    def _object(self, thing: Any) -> list[bytes]:
        kind = type(thing)
        own = [one for one in kind.__mro__ if one.__module__ == kind.__module__]
        methods = [
            (name, value)
            for one in own
            for name, value in sorted(vars(one).items())
            if isinstance(value, types.FunctionType)
        ]
        return [self.digest(part) for part in (methods, getattr(thing, "__dict__", None))]


def _names(code: types.CodeType) -> list[str]:
    """The names that code may look up, and the code in it, in order."""
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return sorted({*code.co_names, *(name for one in inner for name in _names(one))})


def _inside(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _name(thing: Any) -> bytes:
    home = getattr(thing, "__module__", None)
    return f"{home}.{getattr(thing, '__qualname__', getattr(thing, '__name__', ''))}".encode()


def _sha(*parts: bytes) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.digest()
