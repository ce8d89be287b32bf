"""Answers of several runtimes, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from compd.cli.render.tables import percent, print_facts, print_next, print_table
from compd.pair.comparison import Comparison
from compd.runtimes.converted import Saturation
from compd.wording import command

__all__ = ["print_comparison", "print_saturation"]

_LAYERS = 8  # named


def print_comparison(
    result: Comparison, classes: Sequence[str], corpus: str | None, shown: int
) -> None:
    """Print the matrix, and the images that the runtimes are surest to differ on."""
    what = "stored deviations" if result.deviates is not None else "clean images"
    table = Table(
        title=f"{result.images} {what}: on how many the column leaves the row's answer",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("")
    short = [_short(name) for name in result.names]
    for name in short:
        table.add_column(name, justify="right")
    if result.deviates is not None:
        table.add_column("deviate", justify="right")
    for i, name in enumerate(short):
        row = ["·" if i == j else str(count) for j, count in enumerate(result.apart[i])]
        if result.deviates is not None:
            row.append(str(result.deviates[i]))
        table.add_row(name, *row)
    print_table(table)
    rows = [
        (f"{short[i]}, {engine}", f"sha256 {sha[:12]}…")
        for i, (engine, sha) in enumerate(zip(result.engines, result.hashes, strict=True))
    ]
    rows.append(("answered differently", f"{len(result.partings)} of {result.images}"))
    for one in result.partings[:shown]:
        said = ", ".join(
            f"{name} {classes[label]}" for name, label in zip(short, one.labels, strict=True)
        )
        rows.append((f"  {one.name}", f"{said} (margin of each at least {one.margin:.3f})"))
    print_facts("", rows)
    if corpus is not None and result.partings:
        print_next(command("corpus show", result.partings[0].name, corpus=corpus))


def print_saturation(layers: Sequence[Saturation], images: int) -> None:
    """Print which layers' sums saturate most on CPUs without VNNI; nothing if there are none."""
    if not layers:
        return
    touched = [layer for layer in layers if layer.changed]
    rows = [("saturating", f"{len(touched)} of {len(layers)} int8 layers, on {images} images")]
    for layer in sorted(touched, key=lambda one: -one.changed)[:_LAYERS]:
        rows.append(
            (
                f"  {layer.layer}",
                f"{layer.kind}: {percent(layer.changed)} of sums come out otherwise, by "
                f"{percent(layer.worst)} of the largest at most; {percent(layer.risky)} of "
                "neighbouring weights can",
            )
        )
    print_facts("", rows)


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]
