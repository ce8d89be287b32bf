"""What every command has: the option ``--quiet``, and values that a shell completes."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import OptionInfo

from compd.cli.options.choices import completing
from compd.cli.quiet import be_quiet

__all__ = ["Quiet", "as_command"]

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors and warnings only, and what was asked for."),
]


def as_command(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command what every command has."""

    @functools.wraps(command)
    def run(*, context: typer.Context, quiet: bool, **given: Any) -> int:
        if quiet or context.obj:  # said here, or before the command
            be_quiet()
        return command(**given)

    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        inspect.Parameter("quiet", keyword, default=False, annotation=Quiet),
    ]
    own = [_completed(p, command.__name__) for p in signature.parameters.values()]
    run.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*own, *more]}
    return run


def _completed(parameter: inspect.Parameter, command: str) -> inspect.Parameter:
    """The parameter, with what completes it."""
    annotation = parameter.annotation
    if get_origin(annotation) is Annotated:
        kind, option, *_ = get_args(annotation)
        if isinstance(option, OptionInfo):
            option = copy.copy(option)
            name = str(option.default)  # of what stands in an annotation, the first is the name
            option.autocompletion = completing(command, name)
            annotation = Annotated[kind, option]
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
