"""``compd baseline``: accept deviations with a reason, list them, drop what no longer deviates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli import options as o
from compd.cli.pairs import open_pair_of, open_with_data, use_threads_of
from compd.cli.request import PairRequest, takes_pair

if TYPE_CHECKING:
    from compd.corpus import Corpus, Record
    from compd.pair import Pair

__all__ = ["baseline"]

baseline = typer.Typer(
    help="Accept deviations, each with a reason, so that the gate lets them pass.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@baseline.command("accept")
@takes_pair()
def accept(
    request: PairRequest,
    entries: Annotated[
        list[str] | None, typer.Argument(help="Starts of the entries' hashes.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it may pass.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All effective entries that are not accepted yet.")
    ] = False,
    directory: o.CorpusDir = None,
    found: Annotated[
        Path | None,
        typer.Option("--from", help="Take the entries from this corpus, such as the gate's."),
    ] = None,
    file: o.BaselineFile = None,
    threads: o.Threads = None,
) -> int:
    """Accept entries of a corpus as they were stored, or as they are on a pair that is named."""
    from compd.cli.display import live
    from compd.cli.files import find_corpus
    from compd.corpus import Corpus
    from compd.errors import CompdError
    from compd.fuzz import Verdict
    from compd.gate import Accepted, Baseline, baseline_of

    if reason is None or not reason.strip():
        raise CompdError("expected a reason to accept a deviation, got none; --reason '…'")
    if bool(entries) == everything:
        raise CompdError("expected the hashes of entries, or --all; see: compd corpus list")
    store = Corpus(find_corpus(directory))
    path = file or baseline_of(store.directory)
    known = Baseline.load(path)
    source = store if found is None else Corpus(found)
    if everything:
        records = [record for record in source if record.sha256 not in known]
    else:
        records = [source.find(entry) for entry in entries or ()]
    records = [record for record in records if record.verdict is Verdict.EFFECTIVE or entries]
    for record in records:
        if record.verdict is not Verdict.EFFECTIVE:
            raise CompdError(
                f"expected deviations, got a {record.verdict} entry: {record.sha256[:12]}"
            )
    if source is not store:
        store.add((one, source.image(one), source.seed_image(one)) for one in records)
    if request.names_pair:
        use_threads_of(store, threads)
        with live() as report:
            pair = open_pair_of(store, request, report)
        records = _as_on(pair, store, records)
    accepted = known.accepting(Accepted.of(record, reason) for record in records)
    accepted.save(path)
    for record in records:
        typer.echo(f"{record.sha256[:12]}  {record.flip}  severity {record.severity:.2f}")
    typer.echo(f"accepted: {len(records)}; {path} has {len(accepted)}")
    return 0


@baseline.command("list")
def list_accepted(directory: o.CorpusDir = None, file: o.BaselineFile = None) -> int:
    """List what is accepted, with the reasons."""
    from rich.table import Table

    from compd.cli.files import find_corpus
    from compd.cli.render import print_table
    from compd.corpus import Corpus
    from compd.gate import Baseline, baseline_of

    store = Corpus(find_corpus(directory))
    path = file or baseline_of(store.directory)
    accepted = Baseline.load(path)
    table = Table(box=None, pad_edge=False)
    for column in ("hash", "flip", "severity", "reason"):
        table.add_column(column, overflow="fold")
    for one in accepted.values():
        missing = "" if one.sha256 in store else " (no entry in the corpus)"
        table.add_row(one.sha256[:12], one.flip, f"{one.severity:.2f}", one.reason + missing)
    print_table(table)
    typer.echo(f"{path}: {len(accepted)} accepted")
    return 0


@baseline.command("prune")
@takes_pair()
def prune(
    request: PairRequest,
    directory: o.CorpusDir = None,
    file: o.BaselineFile = None,
    everywhere: Annotated[
        bool,
        typer.Option(
            "--everywhere", help="Also what was stored on a machine that may answer otherwise."
        ),
    ] = False,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Remove what no longer deviates, and what the corpus has no entry for; adds nothing."""
    from compd.cli.display import live
    from compd.cli.files import find_corpus
    from compd.corpus import Corpus, verify
    from compd.fuzz import Verdict
    from compd.gate import Baseline, baseline_of, machine_changes

    store = Corpus(find_corpus(directory))
    use_threads_of(store, threads)
    path = file or baseline_of(store.directory)
    accepted = Baseline.load(path)
    gone = [one for one in accepted if one not in store]
    kept = 0
    if len(gone) < len(accepted):
        with live() as report:
            if request.pair is not None:
                pair = open_pair_of(store, request, report)
            else:
                pair, _ = open_with_data(store, request, report, changed=True)
            now = pair.fingerprint(batch=batch or 64)
            for one in verify(store, pair, batch=batch or 64, report=report):
                if one.record.sha256 not in accepted or one.verdict in (None, Verdict.EFFECTIVE):
                    continue
                if machine_changes(one.record, now) and not everywhere:
                    kept += 1
                    continue
                gone.append(one.record.sha256)
    left = accepted.without(gone)
    if len(left) < len(accepted):
        left.save(path)
    for sha256 in sorted(gone):
        typer.echo(f"removed {sha256[:12]}  {accepted[sha256].flip}  {accepted[sha256].reason}")
    if kept:
        typer.echo(
            f"kept {kept} that do not deviate here, but were stored on a machine that may answer "
            "otherwise; --everywhere removes them"
        )
    typer.echo(f"removed: {len(gone)}; {path} has {len(left)}")
    return 0


def _as_on(pair: Pair, store: Corpus, records: list[Record]) -> list[Record]:
    """The records as they are judged on a pair.

    Raises:
        CompdError: if one does not deviate there.
    """
    from compd.corpus import verify
    from compd.errors import CompdError
    from compd.fuzz import Verdict
    from compd.gate import as_judged

    wanted = {record.sha256 for record in records}
    judged = []
    for one in verify(store, pair):
        if one.record.sha256 in wanted:
            if one.verdict is not Verdict.EFFECTIVE:
                raise CompdError(
                    f"expected deviations, got {one.record.sha256[:12]}, which does not deviate on "
                    f"this pair ({one.verdict or one.problem})"
                )
            judged.append(as_judged(one))
    return judged
