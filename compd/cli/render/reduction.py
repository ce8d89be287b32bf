"""A corpus that was made smaller, for people."""

from __future__ import annotations

from compd.cli.render.tables import print_facts
from compd.corpus import Minimisation, Subset
from compd.corpus.reduction import Reduction

__all__ = ["print_reduction"]

_LISTED = 10  # entries that were left out


def print_reduction(result: Reduction) -> None:
    """Print what was done, and what could not be."""
    rows = [
        ("corpus", result.corpus),
        ("entries", str(result.entries)),
        ("rows", "; ".join(map(str, result.rows)) or "–"),
    ]
    if result.out is not None:
        rows += [("out", result.out), *_done(result.done)]
        rows.append(("minimised", "–" if result.cut is None else str(result.cut)))
    if result.subset_in is not None and result.chosen is not None:
        rows += [("subset", result.subset_in), *_chosen(result.chosen, result.keep)]
    rows += [(f"  {sha256[:12]}", why) for sha256, why in list(result.left_out.items())[:_LISTED]]
    print_facts("", rows)


def _done(done: Minimisation) -> list[tuple[str, str]]:
    """What a run did."""
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


def _chosen(chosen: Subset, keep: str) -> list[tuple[str, str]]:
    flips = {(kind.original, kind.deployed) for kind in chosen.kinds}
    what = "one of each kind" if keep == "kinds" else "one of each group of near-duplicates"
    kinds = f"{len(chosen.kinds)}: {len(flips)} flips in {chosen.layers} layers"
    if chosen.note:
        kinds = f"{len(flips)} flips; their layers are not told apart: {chosen.note}"
    return [
        ("kept", f"{len(chosen.chosen)} of {sum(chosen.stands_for.values())} entries, {what}"),
        ("kinds", kinds),
    ]
