"""The options that say which pair, as one argument of a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

import typer

from compd.cli.options.layers import layered
from compd.cli.options.pair import PairOptions

__all__ = ["takes_pair"]

_CONTEXT = inspect.Parameter(
    "context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
)  # the parser's own


def takes_pair(*without: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of a pair; they come to it as its argument ``named``.

    Files that they name are looked for before the command imports anything.

    Args:
        without: fields of :class:`PairOptions` that the command has no option for.
    """
    hints = get_type_hints(PairOptions, include_extras=True)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(PairOptions)
        if field.name not in without
    ]

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def run(**given: Any) -> int:
            context = given.pop(_CONTEXT.name)
            named = layered(context, {option.name: given.pop(option.name) for option in options})
            named.check()
            return command(named, **given)

        signature = inspect.signature(command, eval_str=True)
        own = [p.replace(kind=p.KEYWORD_ONLY) for p in signature.parameters.values()]
        parameters = [_CONTEXT, *options, *(p for p in own if p.name != "named")]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate
