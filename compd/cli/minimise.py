"""``compd corpus minimise``: the same flips by smaller changes, and fewer of them."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compd.cli.interrupt import first_interrupt_sets
from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.cli.pairs import open_pair_of
from compd.system import prepare

if TYPE_CHECKING:
    from compd.corpus import Corpus, Minimisation, Subset

__all__ = ["minimise"]


@takes_pair()
def minimise(
    request: PairRequest,
    directory: o.CorpusDir = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Corpus for the smaller entries; the same command goes on where it was. "
            "Default: CORPUS-min, or with --subset: none, entries stay as they are.",
        ),
    ] = None,
    subset: Annotated[
        Path | None,
        typer.Option("--subset", help="Also write a new corpus of the entries that suffice."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            help="What suffices: kinds (one entry of each flip and layer), or distinct "
            "(one of each group of near-duplicates). Default: kinds.",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", help="Candidates judged for each entry at most.")
    ] = 400,
    eps: Annotated[
        int | None,
        typer.Option(
            "--eps",
            help="Linf bound in levels of 255; 1: Linf never rises. Default: the campaign's.",
        ),
    ] = None,
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of all draws.")] = 0,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Make each entry's change as small as it gets with the same two answers.

    Fewest changed pixels first, then smallest Linf, then smallest L2. The corpus itself is only
    read. Exit status 1: an entry could not be minimised (it is named, and still where it was).
    """
    from compd.cli.display import live
    from compd.cli.files import check_folder, check_outputs, find_corpus, write_json
    from compd.cli.render.tables import print_facts
    from compd.corpus import Corpus, Minimisation, MinimiseSettings, rows_used, select_subset, stats
    from compd.corpus import minimise as run
    from compd.corpus.subset import KEEP
    from compd.errors import SettingError, unknown

    prepare(threads)
    check_outputs(json=json)
    check_folder(out)
    effort = MinimiseSettings(trials, eps, random_seed)
    if keep not in (None, *KEEP):
        raise unknown("keep", str(keep), KEEP)
    if keep is not None and subset is None:
        raise SettingError(f"expected --keep with --subset DIR, got keep={keep!r} alone")
    keep = keep or KEEP[0]
    store = Corpus(find_corpus(directory))
    if out is None and subset is None:
        found = store.directory.resolve()
        out = Path(os.path.relpath(found.with_name(f"{found.name}-min")))
    done, chosen = Minimisation(), None
    stop = threading.Event()
    with live() as report:
        built = open_pair_of(store, request, report)
        target = None if out is None else Corpus(out, create=True)
        fewer = None if subset is None else _subset_corpus(subset, store, target)
        # as a campaign's: more images a call help a GPU only
        images = batch if batch is not None else 64 if built.device.type == "cpu" else 512
        if target is not None:
            with first_interrupt_sets(stop):
                done = run(store, target, built, effort, batch=images, stop=stop, report=report)
        if fewer is not None and not stop.is_set():
            whole = store if target is None else target
            chosen = select_subset(whole, built, keep=keep, batch=images, report=report)
            _fill(fewer, whole, chosen)
    left_out = done.left_out | ({} if chosen is None else dict(chosen.left_out))
    rows = [("corpus", str(store.directory)), ("entries", str(len(store)))]
    rows.append(("rows", "; ".join(map(str, rows_used(store))) or "–"))
    content: dict[str, Any] = {
        "corpus": str(store.directory),
        "entries": len(store),
        "rows": [asdict(part) for part in rows_used(store)],
        "left_out": left_out,
    }
    if target is not None:
        cut = stats(target).cut
        rows += [("out", str(target.directory)), *_told(done)]
        rows.append(("minimised", "–" if cut is None else str(cut)))
        content |= {"out": str(target.directory), "minimised": cut and asdict(cut)}
        content |= {key: value for key, value in asdict(done).items() if key != "left_out"}
        content["effort"] = asdict(effort)
    if fewer is not None and chosen is not None:
        rows += [("subset", str(fewer.directory)), *_told_subset(chosen, keep)]
        content["subset"] = {
            "corpus": str(fewer.directory),
            "keep": keep,
            "entries": dict(chosen.stands_for),
            "kinds": [{**asdict(kind), "entries": n} for kind, n in chosen.kinds.items()],
        }
    rows += [(f"  {sha256[:12]}", why) for sha256, why in list(left_out.items())[:10]]
    print_facts("", rows)
    if json is not None:
        write_json(json, content)
    if stop.is_set():
        return 130
    return 1 if left_out else 0


def _told(done: Minimisation) -> list[tuple[str, str]]:
    """What a run did, for people."""
    kept = done.stored + done.alike + done.done_before
    facts = [("flips kept", f"{kept} of {kept + len(done.left_out)}")]
    if done.done_before:
        facts.append(("done before", str(done.done_before)))
    if done.alike:
        facts.append(("led to the same image as another", str(done.alike)))
    if done.passed_over:
        facts.append(("passed over", f"{done.passed_over} that are not effective"))
    if done.left_out:
        facts.append(("left out", f"{len(done.left_out)}; the corpus still has them"))
    if done.stopped != "done":
        facts.append(("stopped", done.stopped))
    facts.append(
        ("cost", f"{done.seconds:.1f} s, {done.trials} trials, {done.gradients} gradients")
    )
    return facts


def _told_subset(chosen: Subset, keep: str) -> list[tuple[str, str]]:
    flips = {(kind.original, kind.deployed) for kind in chosen.kinds}
    what = "one of each kind" if keep == "kinds" else "one of each group of near-duplicates"
    return [
        ("kept", f"{len(chosen.chosen)} of {sum(chosen.stands_for.values())} entries, {what}"),
        ("kinds", f"{len(chosen.kinds)}: {len(flips)} flips in {chosen.layers} layers"),
    ]


def _subset_corpus(where: Path, store: Corpus, target: Corpus | None) -> Corpus:
    """The corpus for a subset, before the work starts."""
    from compd.corpus import Corpus
    from compd.errors import SettingError

    taken = {corpus.directory.resolve() for corpus in (store, target) if corpus is not None}
    if where.resolve() in taken:
        raise SettingError("a folder of its own for the subset", subset=str(where))
    return Corpus(where, create=True)


def _fill(fewer: Corpus, whole: Corpus, chosen: Subset) -> None:
    """Store the chosen entries; a subset that was written before has to be the same one."""
    from compd.errors import SettingError

    wanted = {record.sha256 for record in chosen.chosen}
    others = sum(record.sha256 not in wanted for record in fewer)
    if others:
        raise SettingError(
            f"expected a new folder for the subset, got subset={str(fewer.directory)!r} with "
            f"{others} entries that are not in it; name another one"
        )
    fewer.add((r, whole.image(r), whole.seed_image(r)) for r in chosen.chosen)
