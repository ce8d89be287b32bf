"""Help in panels: the options that most people need, and the rest under ``--help-all``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

__all__ = ["PANELS", "HelpAll", "PanelCommand", "panel_of"]

# panel -> its options, in order
PANELS: Mapping[str, tuple[str, ...]] = {
    "What to test": (
        *("model", "weights", "data", "pair", "compress", "size", "mean", "std", "trust"),
        *("width", "channels", "resize", "crop", "epochs", "amount", "engine", "device"),
        *("weight-bits", "activation-bits", "student", "student-width"),
        *("fine-tune-epochs", "fine-tune-lr"),
    ),
    "Files that somebody else made": (
        *("original", "deployed", "labels", "labels-offset", "layout", "range", "bgr"),
        *("output", "output-name", "deployed-input", "allow-float"),
    ),
    "Training": (),
    "Search": (
        *("strategy", "eps", "norm", "goal", "flip", "wrong-seeds", "steps", "queries"),
        *("coverage", "keep", "confirm", "confirm-on", "accuracy", "random-seed"),
    ),
    "Study": (
        *("kinds", "severities", "images", "natural", "shift-data", "frost", "alpha", "choose-on"),
        *("shifts", "strategies"),
    ),
    "Repair": (*("method", "lr", "classes", "force", "dry-run"),),
    "What may pass": (
        *("baseline", "config", "only-replay", "min-severity", "max-new", "max-severity-rise"),
        *("known-by", "max-natural-disagreement", "max-accuracy-drop"),
        *("max-negative-flips", "max-class-negative-flips", "max-shift-disagreement"),
        *("guard-alpha", "guard-min-coverage"),
        *("max-class-accuracy-drop", "reason", "all", "from", "record", "everywhere"),
    ),
    "Export": (*("to", "of", "activations", "reduce-range", "per-channel", "preset"),),
    "Budget": (
        *("seeds", "time", "rounds", "trials", "limit", "count", "threads", "batch", "bfloat16"),
    ),
    "Output": (
        *(
            "corpus",
            "out",
            "plots",
            "subset",
            "keep-severity",
            "runtimes",
            "static",
            "report",
            "json",
            "junit",
        ),
        *("sarif", "summary", "annotate", "quiet", "help", "help-all"),
    ),
}
# command -> of options that mean something else there: the panel
_OTHER_PANEL = {"train": {"strategy": "Training", "lr": "Training", "random-seed": "Training"}}
_RARE = {
    *("width", "channels", "resize", "crop", "amount", "engine", "device", "trust", "epochs"),
    *("weight-bits", "activation-bits", "student", "student-width"),
    *("fine-tune-epochs", "fine-tune-lr"),
    *("labels-offset", "layout", "range", "bgr", "output", "output-name", "deployed-input"),
    *("allow-float", "steps", "queries", "coverage", "keep", "wrong-seeds", "random-seed"),
    *("confirm", "confirm-on", "accuracy", "batch", "bfloat16", "max-severity-rise"),
    *("known-by", "max-natural-disagreement", "max-accuracy-drop", "max-class-accuracy-drop"),
    *("max-negative-flips", "max-class-negative-flips", "max-shift-disagreement"),
    *("guard-alpha", "guard-min-coverage"),
    *("annotate", "trials", "norm", "lr", "classes", "force"),
    *("strategies", "frost", "shift-data", "choose-on"),
}
# of commands on a corpus, which knows its pair
_KNOWN = {"model", "weights", "compress", "size", "mean", "std", "labels"}
_NO_CORPUS = {"fuzz", "report", "check", "train", "compress", "export", "repair", "study"}
# rare elsewhere, and what these are about
_COMMON = {
    "compress": {
        "width",
        "epochs",
        "amount",
        "engine",
        "weight-bits",
        "activation-bits",
        "student",
    },
    "train": {"width", "epochs", "channels", "random-seed", "lr"},
    "repair": {"steps"},
    "minimise": {"keep", "trials"},
    "check": {"layout", "range", "output"},
}


def panel_of(option: str, command: str = "") -> str:
    """The panel of an option, by its name without dashes."""
    other = _OTHER_PANEL.get(command, {})
    if option in other:
        return other[option]
    return next((panel for panel, names in PANELS.items() if option in names), "Output")


def _shown(command: str, option: str) -> bool:
    if option in _COMMON.get(command, ()):
        return True
    return option not in _RARE and (command in _NO_CORPUS or option not in _KNOWN)


class PanelCommand(TyperCommand):
    """A command whose help comes in panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, panel by panel."""
        params = self.get_params(ctx)
        arguments = [p for p in params if p.param_type_name == "argument"]
        options = [p for p in params if p.param_type_name == "option"]
        name = ctx.info_name or ""
        shown = [p for p in options if ctx.meta.get(_ALL) or _shown(name, _name(p))]
        if len(shown) + _FEW > len(options):
            shown = options
        _write(formatter, "Arguments", arguments, ctx)
        for panel, names in PANELS.items():
            mine = {_name(p): p for p in shown if panel_of(_name(p), name) == panel}
            order = [*names, *(one for one in _OTHER_PANEL.get(name, ()) if one in mine)]
            _write(formatter, panel, [mine[one] for one in order if one in mine], ctx)
        if len(shown) < len(options):
            formatter.write_paragraph()
            formatter.write_text(f"{len(options) - len(shown)} more options: --help-all")


_ALL = "compd.all"
_FEW = 3  # options fewer than these are not worth a second look


def _show_all(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all", help="Show all options and exit.", is_eager=True, callback=_show_all
    ),
]


def _name(param: Any) -> str:
    """``--eps`` -> ``eps``."""
    longest: str = max(param.opts, key=len)
    return longest.lstrip("-")


def _write(formatter: Any, title: str, params: Iterable[Any], ctx: Any) -> None:
    records = [record for p in params if (record := p.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)
