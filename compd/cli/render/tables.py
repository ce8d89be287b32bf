"""Tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.table import Table

from compd.cli.console import Console
from compd.cli.quiet import is_quiet
from compd.cli.wording import as_options
from compd.statistics import Share

__all__ = [
    "flips",
    "interval",
    "natural",
    "p_words",
    "percent",
    "percent_of",
    "print_facts",
    "print_line",
    "print_next",
    "print_table",
    "study_table",
]


def percent(value: float | None) -> str:
    """0.9173 -> 91.73 %."""
    return "–" if value is None else f"{100 * value:.2f} %"


def percent_of(share: float | None, images: int) -> str:
    """0.9173 of 200 images, with its 95 % interval -> 91.73 % (87.1 to 94.8 %)."""
    if share is None:
        return "–"
    found = Share.count_of(round(share * images), images)
    return f"{percent(share)} ({100 * found.low:.1f} to {100 * found.high:.1f} %)"


def natural(share: float, ties: int, images: int) -> str:
    """Natural disagreement as a share with its interval, and what of it are exact ties."""
    said = percent_of(share, images)
    if ties:
        count = round(share * images)
        all_of = "all" if ties == count else f"{ties}"
        said += f", {all_of} of the {count} exact ties (no findings)"
    return said


def flips(counts: Mapping[str, Any]) -> str:
    """Flips with their direction, as JSON has them: the negative ones, and the reverse."""
    said = []
    for name, who in (("negative", "original"), ("reverse", "deployed model")):
        rate = counts[name]
        share = percent_of(rate["count"] / max(1, rate["of"]), rate["of"])
        said.append(f"only the {who} right on {rate['count']} ({share})")
    both = f"both wrong and apart on {counts['both_wrong_apart']}"
    return f"{'; '.join(said)}; {both}"


def print_facts(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a table of two columns on standard output; when quiet, its warnings alone."""
    if is_quiet():
        for name, value in rows:
            if name == "warning":
                typer.echo(f"compd: warning: {as_options(value)}", err=True)
        return
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, as_options(value))
    print_table(table)


def print_line(text: str) -> None:
    """Print a line as it is, however long."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def print_next(*commands: str) -> None:
    """Print what to type next: commands that run as they are."""
    for one in commands:
        print_line(f"next: {one}")


def print_table(table: Table) -> None:
    """Print a table; into a file or a pipe as wide as it is, without blanks at line ends."""
    console = Console()
    if console.is_terminal:
        console.print(table, markup=False)
        return
    wide = Console(width=200)
    with wide.capture() as captured:
        wide.print(table, markup=False)
    for line in captured.get().splitlines():
        console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def study_table(title: str, *columns: str) -> Table:
    """A table of figures: the first column to the left, the others to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    return table


def interval(share: Share) -> str:
    """A share with its 95 % interval -> 0.63 % (0.5–0.8)."""
    return f"{percent(share.share)} ({100 * share.low:.1f}–{100 * share.high:.1f})"


def p_words(value: float) -> str:
    """A p-value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
