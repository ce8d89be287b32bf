"""``compd baseline accept``: deviations that may pass, and why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import with_memory
from compd.cli.options.takes import takes_pair
from compd.system import check_threads

if TYPE_CHECKING:
    from compd.control import Control
    from compd.corpus import Corpus
    from compd.data import Splits
    from compd.pair import Pair

__all__ = ["accept"]


@dataclass
class _Opener:
    """Opens the pair of some entries, once; with its data if the gate's search is recorded."""

    named: LayeredOptions
    store: Corpus
    source: Corpus
    threads: int | None
    wanted: bool  # whether with data
    control: Control
    pair: Pair | None = None
    splits: Splits | None = None
    failed: list[str] = field(default_factory=list)  # why there are no data

    def open(self) -> Pair:
        """The pair, without data if there are none."""
        if self.pair is not None:
            return self.pair
        from compd.cli.files import prepare_as
        from compd.cli.wording import as_options
        from compd.corpus.opening import open_pair_of, open_with_data
        from compd.errors import CompdError

        prepare_as(self.store, self.threads)
        if self.wanted:
            try:
                request = self.named.request()
                self.pair, self.splits = open_with_data(
                    self.source, request, changed=True, control=self.control
                )
                return self.pair
            except CompdError as error:  # a pair may be judged without its data
                self.failed.append(as_options(error.message))
        request = self.named.request()
        self.pair = open_pair_of(self.source, request, changed=True, control=self.control)
        return self.pair


@takes_pair()
def accept(
    named: LayeredOptions,
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
    """Accept entries as they were stored, or as they are on a pair.

    With --all, the pair that the corpus remembers will do.
    """
    import compd.gating as library
    from compd.cli.display import live
    from compd.cli.files import find_corpus
    from compd.corpus import Corpus
    from compd.errors import CompdError, SettingError

    if threads is not None:
        check_threads(threads)
    if reason is None or not reason.strip():
        raise SettingError("expected a reason to accept a deviation, got none; --reason '…'")
    if bool(entries) == everything:
        raise SettingError("expected the hashes of entries, or --all; see: compd corpus list")
    store = Corpus(find_corpus(directory))
    path = file or library.baseline_of(store.directory)
    source = store if found is None else Corpus(found)
    policy, _ = library.find_policy(Path.cwd())
    wanted = record and (everything or named.says_pair or not library.path_of(path).is_file())
    known = with_memory(with_memory(named, store.directory), source.directory)
    searched = None
    with live() as control:
        opener = _Opener(known, store, source, threads, wanted, control)
        with control.interruptible():
            judged_on = opener.open if named.says_pair else None
            if everything and not named.says_pair and known.names_pair:
                with suppress(CompdError):  # then they are accepted as they were stored
                    opener.open()
                    judged_on = opener.open
            done = library.accept(
                store,
                path,
                reason,
                entries=entries or None,
                source=source,
                open_pair=judged_on,
                control=control,
            )
            if wanted and opener.splits is None and not opener.failed:
                with suppress(CompdError):  # which has been noted
                    opener.open()
            if opener.splits is not None:
                searched = library.record_search(
                    opener.open(), store, path, opener.splits, policy, control=control
                )
    for one in done.records:
        typer.echo(f"{one.sha256[:12]}  {one.flip}  severity {one.severity:.2f}")
    if done.passed_over:
        typer.echo(f"passed over: {done.passed_over} that do not deviate")
    typer.echo(f"accepted: {len(done.records)}; {path} has {done.lines}")
    if opener.failed:
        typer.echo(f"not recorded what the gate's search finds: {opener.failed[0]}")
    if searched is not None:
        deviate = sum(seed.severity > 0 for seed in searched.seeds)
        typer.echo(
            f"recorded: {deviate} of {len(searched.seeds)} seeds deviate in the gate's search; "
            f"{library.path_of(path)}"
        )
    return 0
