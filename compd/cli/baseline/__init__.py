"""``compd baseline``: accept deviations with a reason, list them, drop what no longer deviates."""

from __future__ import annotations

import typer

from compd.cli.baseline.accept import accept
from compd.cli.baseline.list import list_accepted
from compd.cli.baseline.prune import prune
from compd.cli.options.every import as_command
from compd.cli.panels import PanelCommand

__all__ = ["baseline"]

baseline = typer.Typer(
    help="Accept deviations, with reasons; the gate lets them pass.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
baseline.command("accept", cls=PanelCommand)(as_command(accept))
baseline.command("list", cls=PanelCommand)(as_command(list_accepted))
baseline.command("prune", cls=PanelCommand)(as_command(prune))
