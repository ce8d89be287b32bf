"""``compd corpus``: list, show, verify, stats; minimise has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.minimise import minimise
from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.cli.pairs import open_pair_of
from compd.system import prepare

if TYPE_CHECKING:
    from compd.corpus import Cut, RowsUsed

__all__ = ["corpus"]

_WIDE, _FEW = 80, 12  # letters of a text, things in a list: a corpus may be a stranger's

corpus = typer.Typer(
    help="Look at stored deviations, replay them, make them smaller.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@corpus.command("list")
def list_entries(
    directory: o.CorpusDir = None,
    limit: Annotated[int, typer.Option("--limit", help="Entries to print; 0 for all.")] = 20,
) -> int:
    """List entries, the most severe first."""
    from rich.table import Table

    from compd.cli.console import Console
    from compd.cli.files import find_corpus
    from compd.corpus import Corpus

    store = Corpus(find_corpus(directory))
    records = sorted(store, key=lambda record: (-record.severity, record.sha256))
    shown = records[:limit] if limit else records
    table = Table(box=None, pad_edge=False)
    for column in ("hash", "verdict", "original → deployed", "severity", "Linf", "seed", "search"):
        table.add_column(column)
    for record in shown:
        table.add_row(
            record.sha256[:12],
            str(record.verdict),
            record.flip[:_WIDE],
            f"{record.severity:.3f}",
            str(record.linf),
            record.seed_row[:_WIDE],
            str(record.strategy.get("name"))[:_WIDE],
        )
    console = Console()
    console.print(table, markup=False)
    if len(shown) < len(records):
        console.print(f"and {len(records) - len(shown)} more (--limit 0 shows all)", markup=False)
    return 0


@corpus.command("show")
def show(
    entry: Annotated[
        str | None, typer.Argument(help="Start of an entry's hash. Default: the most severe.")
    ] = None,
    directory: o.CorpusDir = None,
    count: Annotated[int, typer.Option("--count", help="How many of the most severe.")] = 4,
    out: Annotated[Path, typer.Option("--out", help="The picture to write.")] = Path("compd.png"),
) -> int:
    """Write a picture: seed, deviation, amplified difference, both models' top answers."""
    import io

    from compd.cli.files import check_outputs, find_corpus
    from compd.corpus import Corpus, Record
    from compd.errors import CompdError, SettingError
    from compd.files.outputs import check_output, write_output
    from compd.report import contact_sheet

    where = find_corpus(directory)
    store = Corpus(where)
    check_outputs(out=out)
    check_output(out, "out", suffix=".png", new_folder=True)
    if count < 1:
        raise SettingError("at least one entry to show", count=count)
    if entry is not None:
        records = [store.find(entry)]
    else:
        best: dict[str, Record] = {}
        for record in sorted(store, key=lambda record: (-record.severity, record.sha256)):
            best.setdefault(record.seed_sha256, record)  # one a seed: the others look the same
        records = list(best.values())[:count]
    if not records:
        raise SettingError(f"expected entries to show, got an empty corpus: {str(where)!r}")
    entries = []
    for record in records:
        try:
            entries.append((record, store.image(record), store.seed_image(record)))
        except CompdError as error:
            if len(records) == 1:
                raise
            typer.echo(f"compd: warning: left out {record.sha256[:12]}: {error}", err=True)
    if not entries:
        raise SettingError(f"expected pictures to show, got damaged ones only in {str(where)!r}")
    sheet = contact_sheet(entries)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_output(out, buffer.getvalue())
    for record, _, _ in entries:
        typer.echo(f"{record.sha256[:12]}  {record.flip[:_WIDE]}  severity {record.severity:.3f}")
    typer.echo(f"picture: {out}")
    return 0


@corpus.command("verify")
@takes_pair()
def verify_entries(
    request: PairRequest,
    directory: o.CorpusDir = None,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Replay every entry from disk on a pair; exit 1 if any is no longer what it was."""
    from compd.cli.display import live
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.tables import print_facts
    from compd.corpus import Corpus, fingerprint_changes, rows_used, verify

    prepare(threads)
    check_outputs(json=json)
    store = Corpus(find_corpus(directory))
    with live() as report:
        built = open_pair_of(store, request, report)
        results = verify(store, built, batch=64 if batch is None else batch, report=report)
    now = built.fingerprint(batch=0)
    damaged = [result for result in results if result.verdict is None]
    changed = [result for result in results if result.verdict is not None and not result.holds]
    changes = {
        key: value for record in store for key, value in fingerprint_changes(record, now).items()
    }
    used = rows_used(result.record for result in results)
    rows = [
        ("corpus", str(store.directory)),
        ("entries", str(len(results))),
        ("rows", _named(used)),
        ("still as stored", str(len(results) - len(damaged) - len(changed))),
        ("changed", str(len(changed))),
        ("damaged", str(len(damaged))),
    ]
    rows += [
        (f"  {r.record.sha256[:12]}", f"{r.record.verdict} → {r.verdict}") for r in changed[:10]
    ]
    rows += [(f"  {r.record.sha256[:12]}", r.problem or "") for r in damaged[:10]]
    rows += [
        (f"  {key} differs", f"stored {then[:40]}, here {now[:40]}")
        for key, (then, now) in changes.items()
    ]
    print_facts("", rows)
    if json is not None:
        write_json(
            json,
            {
                "corpus": str(store.directory),
                "entries": len(results),
                "rows": [asdict(part) for part in used],
                "unchanged": len(results) - len(damaged) - len(changed),
                "changed": [r.record.sha256 for r in changed],
                "damaged": [r.record.sha256 for r in damaged],
                "fingerprint_changes": {key: list(value) for key, value in changes.items()},
            },
        )
    return 1 if damaged or changed else 0


@corpus.command("stats")
def show_stats(directory: o.CorpusDir = None, json: o.JsonFile = None) -> int:
    """Print a corpus in numbers."""
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.tables import print_facts
    from compd.corpus import Corpus, stats

    check_outputs(json=json)
    store = Corpus(find_corpus(directory))
    numbers = stats(store)
    if json is not None:
        write_json(json, {"corpus": str(store.directory), **numbers.to_json()})
    flips = _counted(numbers.flips)
    stabilities = "  ".join(
        f"{name or 'not replayed'}: {count}" for name, count in numbers.stabilities.items()
    )
    print_facts(
        "",
        [
            ("corpus", str(store.directory)),
            (
                "entries",
                f"{numbers.entries} ({numbers.effective} effective, "
                f"{numbers.valid} valid) of {numbers.pairs} deployed models",
            ),
            ("rows", _named(numbers.rows)),
            ("seeds with a deviation", str(numbers.seeds_effective)),
            (
                "severity",
                "–"
                if numbers.severity_median is None
                else f"median {numbers.severity_median:.3f}, p90 {numbers.severity_p90:.3f}, "
                f"highest {numbers.severity_max:.3f}",
            ),
            (
                "distance",
                "–"
                if numbers.l2_mean is None
                else f"Linf at most {numbers.linf_max}/255, L2 per pixel {numbers.l2_mean}",
            ),
            ("flips", flips or "–"),
            ("trust", stabilities or "–"),
            *_minimised(numbers.cut),
            ("strategies", _counted(numbers.strategies) or "–"),
        ],
    )
    return 0


def _minimised(cut: Cut | None) -> list[tuple[str, str]]:
    """What minimisation did to the entries that it made."""
    return [] if cut is None else [("minimised", str(cut))]


def _named(rows: Sequence[RowsUsed]) -> str:
    """The rows that seeds came from, for people."""
    more = f"; and {len(rows) - _FEW} more" if len(rows) > _FEW else ""
    return ("; ".join(str(row)[: 2 * _WIDE] for row in rows[:_FEW]) or "–") + more


def _counted(counts: Mapping[str, int]) -> str:
    """What there is most of, for people."""
    return "  ".join(f"{name[:_WIDE]}: {count}" for name, count in list(counts.items())[:_FEW])


corpus.command("minimise")(minimise)
