"""What a hunt did, for people."""

from __future__ import annotations

import typer

from compd.cli.render.tables import print_facts, print_next
from compd.gating import Hunted
from compd.wording import command

__all__ = ["print_hunt"]


def print_hunt(result: Hunted, pair: str, corpus: str, words: str) -> None:
    """Print what was found, and what to type next.

    Args:
        result: of the hunt.
        pair: its label.
        corpus: that grew.
        words: the options that name the pair.
    """
    stopped = {"time": "the time was up", "rounds": "done"}.get(result.stopped, result.stopped)
    print_facts(
        "",
        [
            ("pair", pair),
            ("corpus", f"{corpus}, {result.entries} entries"),
            (
                "campaigns",
                f"{result.rounds}, random seeds from {result.first_seed}; next {result.next_seed}",
            ),
            ("seeds", str(result.seeds)),
            ("deviations found", str(result.found)),
            (
                "new to the corpus",
                f"{result.novel}, {result.smaller} of them made smaller, {result.stored} stored",
            ),
            ("seconds", f"{result.seconds:.1f}"),
            ("stopped", stopped),
        ],
    )
    if result.stopped == "interrupted":
        typer.echo(f"what was found lies in {corpus}-hunt; the next hunt takes it in")
    if result.entries or result.stopped != "interrupted":  # else there is no corpus
        print_next(f"{command('gate', corpus=corpus)} {words}".rstrip())
