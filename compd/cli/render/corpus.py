"""A corpus, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from compd.cli.console import Console
from compd.cli.render.tables import print_facts, print_line
from compd.corpus import CorpusStats, Record, RowsUsed, Verification
from compd.report.sentence import shift_of
from compd.wording import command

__all__ = ["WIDE", "print_entries", "print_stats", "print_verification", "say_empty"]

WIDE, _FEW = 80, 12  # letters of a text, things in a list: a corpus may be a stranger's
_LISTED = 10  # entries that changed, or are damaged


def say_empty(where: str) -> None:
    """Say that a corpus has no entries, and what fills it."""
    print_line(f"{where} has no entries; a search fills it: {command('fuzz', corpus=where)}")


def print_entries(where: str, records: Sequence[Record], limit: int) -> None:
    """Print one line an entry, ``limit`` of them; all if it is 0."""
    if not records:
        say_empty(where)
        return
    shown = records[:limit] if limit else records
    table = Table(box=None, pad_edge=False)
    for column in ("hash", "verdict", "original → deployed", "severity", "Linf", "seed", "search"):
        table.add_column(column)
    for record in shown:
        table.add_row(
            record.sha256[:12],
            str(record.verdict),
            record.flip[:WIDE],
            f"{record.severity:.3f}",
            str(record.linf),
            record.seed_row[:WIDE],
            shift_of(record.strategy) or str(record.strategy.get("name"))[:WIDE],
        )
    console = Console()
    console.print(table, markup=False)
    if len(shown) < len(records):
        console.print(f"and {len(records) - len(shown)} more (--limit 0 shows all)", markup=False)


def print_verification(result: Verification) -> None:
    """Print how many entries are as they were, and which are not."""
    rows = [
        ("corpus", result.corpus),
        ("entries", str(result.entries)),
        ("rows", _named(result.rows)),
        ("still as stored", str(result.unchanged)),
        ("changed", str(len(result.changed))),
        ("damaged", str(len(result.damaged))),
    ]
    rows += [
        (f"  {one.record.sha256[:12]}", f"{one.record.verdict} → {one.verdict}")
        for one in result.changed[:_LISTED]
    ]
    rows += [(f"  {one.record.sha256[:12]}", one.problem or "") for one in result.damaged[:_LISTED]]
    rows += [
        (f"  {key} differs", f"stored {then[:40]}, here {now[:40]}")
        for key, (then, now) in result.fingerprint_changes.items()
    ]
    print_facts("", rows)
    if not result.entries:
        say_empty(result.corpus)


def print_stats(where: str, numbers: CorpusStats) -> None:
    """Print counts and measures."""
    if not numbers.entries:
        say_empty(where)
        return
    severity = distance = "–"
    if numbers.severity_median is not None:
        severity = (
            f"median {numbers.severity_median:.3f}, p90 {numbers.severity_p90:.3f}, highest "
            f"{numbers.severity_max:.3f}"
        )
    if numbers.l2_mean is not None:
        distance = f"Linf at most {numbers.linf_max}/255, L2 per pixel {numbers.l2_mean}"
    stabilities = "  ".join(
        f"{name or 'not replayed'}: {count}" for name, count in numbers.stabilities.items()
    )
    minimised = [] if numbers.cut is None else [("minimised", str(numbers.cut))]
    print_facts(
        "",
        [
            ("corpus", where),
            (
                "entries",
                f"{numbers.entries} ({numbers.effective} effective, {numbers.valid} valid) of "
                f"{numbers.pairs} deployed models",
            ),
            ("rows", _named(numbers.rows)),
            ("seeds with a deviation", str(numbers.seeds_effective)),
            ("severity", severity),
            ("distance", distance),
            ("flips", _counted(numbers.flips) or "–"),
            ("stability", stabilities or "–"),
            *minimised,
            ("strategies", _counted(numbers.strategies) or "–"),
        ],
    )


def _named(rows: Sequence[RowsUsed]) -> str:
    """The rows that seeds came from, for people."""
    more = f"; and {len(rows) - _FEW} more" if len(rows) > _FEW else ""
    return ("; ".join(str(row)[: 2 * WIDE] for row in rows[:_FEW]) or "–") + more


def _counted(counts: Mapping[str, int]) -> str:
    """What there is most of, for people."""
    return "  ".join(f"{name[:WIDE]}: {count}" for name, count in list(counts.items())[:_FEW])
