"""``compd baseline``: accept deviations with a reason, list them, drop what no longer deviates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.cli.pairs import open_pair_of, open_with_data, use_threads_of

if TYPE_CHECKING:
    from compd.corpus import Corpus, Record
    from compd.gating import Accepted
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
    from compd.errors import SettingError
    from compd.files.storage import locked_folder
    from compd.gating import Accepted, Baseline, baseline_of
    from compd.search import Verdict

    if reason is None or not reason.strip():
        raise SettingError("expected a reason to accept a deviation, got none; --reason '…'")
    if bool(entries) == everything:
        raise SettingError("expected the hashes of entries, or --all; see: compd corpus list")
    store = Corpus(find_corpus(directory))
    path = file or baseline_of(store.directory)
    source = store if found is None else Corpus(found)
    _check_alike(store, source)
    chosen = list(source) if everything else [source.find(entry) for entry in entries or ()]
    pair = None
    if request.names_pair:
        use_threads_of(store, threads)
        with live() as report:
            pair = open_pair_of(source, request, report, changed=True)
    judged = _as_on(pair, source, chosen)
    gone = [one for one in judged if one.verdict is not Verdict.EFFECTIVE]
    if gone and not everything:
        raise SettingError(
            f"expected deviations, got {gone[0].sha256[:12]}, which is {gone[0].verdict}"
            + (" on this pair" if pair is not None else "")
        )
    with locked_folder(path.parent, wait=True, what="accepts"):
        known = Baseline.load(path)
        records = [
            one
            for one in judged
            if one.verdict is Verdict.EFFECTIVE
            and not (everything and _is_accepted(one, known.get(one.sha256)))
        ]
        if source is not store:
            store.add((one, source.image(one), source.seed_image(one)) for one in records)
        accepted = known.accepting(Accepted.of(record, reason) for record in records)
        accepted.save(path)
    for record in records:
        typer.echo(f"{record.sha256[:12]}  {record.flip}  severity {record.severity:.2f}")
    if gone:
        typer.echo(f"passed over: {len(gone)} that do not deviate")
    typer.echo(f"accepted: {len(records)}; {path} has {len(accepted)}")
    return 0


@baseline.command("list")
def list_accepted(directory: o.CorpusDir = None, file: o.BaselineFile = None) -> int:
    """List what is accepted, with the reasons."""
    from rich.table import Table

    from compd.cli.files import find_corpus
    from compd.cli.render.tables import print_table
    from compd.corpus import Corpus
    from compd.gating import Baseline, baseline_of

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
    from compd.files.storage import locked_folder
    from compd.gating import Baseline, baseline_of, machine_changes
    from compd.search import Verdict

    store = Corpus(find_corpus(directory))
    use_threads_of(store, threads)
    path = file or baseline_of(store.directory)
    accepted = Baseline.load(path)
    gone = [one for one in accepted if one not in store]
    kept = 0
    if len(gone) < len(accepted):
        with live() as report:
            if request.pair is not None:
                pair = open_pair_of(store, request, report, changed=True)
            else:
                pair, _ = open_with_data(store, request, report, changed=True)
            now = pair.fingerprint(batch=batch or 64)
            known = [record for record in store if record.sha256 in accepted]
            for one in verify(store, pair, records=known, batch=batch or 64, report=report):
                if one.verdict in (None, Verdict.EFFECTIVE):
                    continue
                if machine_changes(one.record, now) and not everywhere:
                    kept += 1
                    continue
                gone.append(one.record.sha256)
    with locked_folder(path.parent, wait=True, what="accepts"):
        left = Baseline.load(path).without(gone)  # as it is now: somebody may have accepted more
        if gone:
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


def _as_on(pair: Pair | None, source: Corpus, records: list[Record]) -> list[Record]:
    """The records with their verdicts on a pair; as they were stored without one."""
    from compd.corpus import verify
    from compd.errors import SettingError
    from compd.gating import as_judged

    if pair is None:
        return records
    judged = []
    for one in verify(source, pair, records=records):
        if one.verdict is None:
            raise SettingError(str(one.problem))
        judged.append(replace(as_judged(one), verdict=one.verdict))
    return judged


def _is_accepted(record: Record, line: Accepted | None) -> bool:
    from compd.gating import Policy, Status, status_of

    status, _ = status_of(record, line, Policy(), deviates=True, elsewhere={})
    return line is not None and status is not Status.NEW


def _check_alike(store: Corpus, source: Corpus) -> None:
    """Raise if two corpora are of networks with other classes."""
    from compd.errors import SettingError

    classes = {record.original.label: record.original.name for record in store}
    for record in source:
        name = classes.setdefault(record.original.label, record.original.name)
        if name != record.original.name:
            raise SettingError(
                f"expected corpora of the same classes, got label {record.original.label} for "
                f"{name!r} in {str(store.directory)!r} and for {record.original.name!r} in "
                f"{str(source.directory)!r}"
            )
