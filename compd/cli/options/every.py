"""What every command has: ``--quiet``, ``--help-all``, and values that a shell completes."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import OptionInfo

from compd.cli.options.choices import completing
from compd.cli.panels import HelpAll
from compd.cli.quiet import be_quiet

__all__ = ["Quiet", "as_command"]

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors and warnings only, and what was asked for."),
]


def as_command(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command what every command has."""

    @functools.wraps(command)
    def run(*, context: typer.Context, quiet: bool, help_all: bool, **given: Any) -> int:
        del help_all  # it has ended the command
        if quiet or context.obj:  # said here, or before the command
            be_quiet()
        if wants_context:
            given["context"] = context
        return command(**given)

    signature = inspect.signature(command, eval_str=True)
    wants_context = "context" in signature.parameters
    own = [_completed(p, command.__name__) for p in signature.parameters.values()]
    if not wants_context:
        keyword = inspect.Parameter.KEYWORD_ONLY
        own.append(inspect.Parameter("context", keyword, annotation=typer.Context))
    own += [_flag("quiet", Quiet), _flag("help_all", HelpAll)]
    run.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in own}
    return run


def _flag(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation
    )


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
