"""``compd corpus``: list, show, verify, stats, minimise."""

from __future__ import annotations

import typer

from compd.cli.corpus.list import list_entries
from compd.cli.corpus.minimise import minimise
from compd.cli.corpus.show import show
from compd.cli.corpus.stats import show_stats
from compd.cli.corpus.verify import verify_entries
from compd.cli.options.every import as_command
from compd.cli.panels import PanelCommand

__all__ = ["corpus"]

corpus = typer.Typer(
    help="Look at stored deviations, replay them, make them smaller.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
corpus.command("list", cls=PanelCommand)(as_command(list_entries))
corpus.command("show", cls=PanelCommand)(as_command(show))
corpus.command("verify", cls=PanelCommand)(as_command(verify_entries))
corpus.command("stats", cls=PanelCommand)(as_command(show_stats))
corpus.command("minimise", cls=PanelCommand)(as_command(minimise))
