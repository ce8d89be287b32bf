"""The command line: parse, one library call, render.

Exit status: 0 done, 1 a check did not hold, 2 tool or input are at fault, 3 inconclusive, 130
interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import warnings
from functools import cache

import typer
from typer.main import get_command

from compd._version import __version__
from compd.cli.baseline import baseline
from compd.cli.check import check
from compd.cli.compare import compare
from compd.cli.compress import compress
from compd.cli.corpus import corpus
from compd.cli.export import export
from compd.cli.fuzz import fuzz
from compd.cli.gate import gate
from compd.cli.hunt import hunt
from compd.cli.inputs import export_inputs
from compd.cli.interrupt import silence
from compd.cli.options.every import Quiet, as_command
from compd.cli.panels import PanelCommand
from compd.cli.project import project_defaults
from compd.cli.quiet import print_anyway
from compd.cli.repair import repair
from compd.cli.replay import replay
from compd.cli.report import report
from compd.cli.study import study
from compd.cli.train import train
from compd.cli.wording import as_options
from compd.errors import CompdError, CompdWarning, Stopped, brief

__all__ = ["app", "main"]

_INTERRUPTED = "interrupted; what is stored and saved is safe"

app = typer.Typer(
    name="compd",
    rich_markup_mode=None,  # plain help needs no further import and comes at once
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="Find, prove and store inputs on which a compressed network deviates from its original.",
)
for _name, _command in {
    "fuzz": fuzz,
    "repair": repair,
    "gate": gate,
    "hunt": hunt,
    "study": study,
    "report": report,
    "replay": replay,
    "train": train,
    "compress": compress,
    "export-inputs": export_inputs,
    "check": check,
    "compare": compare,
    "export": export,
}.items():
    app.command(_name, cls=PanelCommand)(as_command(_command))
app.add_typer(corpus, name="corpus")
app.add_typer(baseline, name="baseline")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"compd {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", callback=_version, is_eager=True
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    quiet: Quiet = False,
) -> None:
    del version
    context.obj = quiet  # for the command, whose help is printed all the same
    if debug:
        os.environ["COMPD_DEBUG"] = "1"


_parser = cache(get_command)  # it takes the time of a small command


def main() -> None:
    """Run the command line and exit."""
    code = _run(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the status is decided: no impatience changes it
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no "≤" gets a "?"
            stream.reconfigure(errors="replace")
    printed_to = sys.stdout
    try:
        said = project_defaults(app, arguments)
        given = {"prog_name": "compd", "standalone_mode": False, "default_map": said}
        code = _parser(app)(arguments, **given) or 0
        if code == 130:
            _say(_INTERRUPTED)
        return code
    except (KeyboardInterrupt, Exception) as error:
        return _told(error)
    finally:
        sys.stdout = printed_to  # a result may have taken its place


def _told(error: BaseException) -> int:
    """Say what ended a command, in one line if that can be; its exit status."""
    if isinstance(error, KeyboardInterrupt | Stopped | typer.Abort):
        _say(_INTERRUPTED)
        return 130
    if isinstance(error, BrokenPipeError):  # a reader such as head has seen enough
        silence()
        return 0
    if isinstance(error, CompdError):
        if os.environ.get("COMPD_DEBUG"):
            traceback.print_exception(error)
        said = as_options(error.message)
        _say(said)
        if os.environ.get("GITHUB_ACTIONS") == "true":  # so that it is seen without opening a log
            print_anyway(f"::error title=compd::{brief(said, len(said)).replace('%', '%25')}")
    elif isinstance(error, OSError):  # a full disk behind the output, and the like
        _say(f"expected to read and write, got: {error.strerror or error}")
    elif type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        typer.echo(error.format_message(), err=True)  # type: ignore[attr-defined]
    elif (told := getattr(error, "format_message", None)) is not None:  # the parser's own errors
        _say(f"{told()} See: compd --help")
    else:
        traceback.print_exception(error)  # a fault of the tool is no "1": that is a verdict
    return 2


def _show_warning(message: Warning | str, category: type[Warning], *rest: object) -> None:
    if issubclass(category, CompdWarning):
        _say(f"warning: {message}")


def _say(text: str) -> None:
    sys.stdout.flush()  # what was printed before comes before
    typer.echo(f"compd: {' '.join(text.split())}", err=True)
