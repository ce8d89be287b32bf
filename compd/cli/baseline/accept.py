"""``compd baseline accept``: deviations that may pass, and why."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import PairOptions
from compd.cli.options.takes import takes_pair
from compd.system import check_threads

if TYPE_CHECKING:
    from compd.data import Splits
    from compd.pair import Pair

__all__ = ["accept"]


@takes_pair()
def accept(
    named: PairOptions,
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
    record: Annotated[
        bool,
        typer.Option(
            "--record/--no-record",
            help="Also write down what the gate's search finds on this pair, for it to compare "
            "with: with --all, with a pair, or the first time.",
        ),
    ] = True,
    threads: o.Threads = None,
) -> int:
    """Accept entries as they were stored, or as they are on a pair."""
    import compd.gating as library
    from compd.cli.display import live
    from compd.cli.files import find_corpus, prepare_as
    from compd.cli.wording import as_options
    from compd.corpus import Corpus
    from compd.corpus.opening import open_pair_of, open_with_data
    from compd.errors import CompdError, SettingError

    if threads is not None:
        check_threads(threads)
    if reason is None or not reason.strip():
        raise SettingError("expected a reason to accept a deviation, got none; --reason '…'")
    if bool(entries) == everything:
        raise SettingError("expected the hashes of entries, or --all; see: compd corpus list")
    request, store = named.request(), Corpus(find_corpus(directory))
    path = file or library.baseline_of(store.directory)
    source = store if found is None else Corpus(found)
    policy, _ = library.find_policy(Path.cwd())
    wanted = record and (everything or named.names_pair or not library.path_of(path).is_file())
    opened: list[tuple[Pair, Splits]] = []
    failed: list[str] = []
    searched = None
    with live() as control:

        def open_pair() -> Pair:
            prepare_as(store, threads)
            if wanted:
                try:
                    opened.append(open_with_data(source, request, changed=True, control=control))
                    return opened[0][0]
                except CompdError as error:  # a pair may be judged without its data
                    failed.append(as_options(error.message))
            return open_pair_of(source, request, changed=True, control=control)

        with control.interruptible():
            done = library.accept(
                store,
                path,
                reason,
                entries=entries or None,
                source=source,
                open_pair=open_pair if named.names_pair else None,
                control=control,
            )
            if wanted and not opened and not failed:
                with suppress(CompdError):  # which has been noted
                    open_pair()
            if opened:
                searched = library.record_search(
                    opened[0][0], store, path, opened[0][1], policy, control=control
                )
    for one in done.records:
        typer.echo(f"{one.sha256[:12]}  {one.flip}  severity {one.severity:.2f}")
    if done.passed_over:
        typer.echo(f"passed over: {done.passed_over} that do not deviate")
    typer.echo(f"accepted: {len(done.records)}; {path} has {done.lines}")
    if failed:
        typer.echo(f"not recorded what the gate's search finds: {failed[0]}")
    if searched is not None:
        deviate = sum(seed.severity > 0 for seed in searched.seeds)
        typer.echo(
            f"recorded: {deviate} of {len(searched.seeds)} seeds deviate in the gate's search; "
            f"{library.path_of(path)}"
        )
    return 0
