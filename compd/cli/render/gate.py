"""A gate's result for people."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from compd.cli.console import Console
from compd.cli.render.tables import percent, print_facts, print_next, print_table
from compd.gating import GateResult, Status, baseline_of
from compd.gating.clean import tied
from compd.gating.limits import figures_of
from compd.wording import command

__all__ = ["print_gate"]

_ROWS = 20
_SHOWN = (Status.NEW, Status.UNCONFIRMED, Status.FLAKY, Status.STALE)


def print_gate(result: GateResult) -> None:
    """Print the deviations that need somebody, the counts, and what to type next."""
    shown = result.of(*_SHOWN)
    if shown:
        table = Table(box=None, pad_edge=False)
        for column in ("hash", "status", "original → deployed", "severity", "found", "why"):
            table.add_column(column, overflow="fold")
        for one in shown[:_ROWS]:
            table.add_row(
                one.record.sha256[:12],
                str(one.status),
                one.record.flip,
                f"{one.record.severity:.3f}",
                one.found,
                one.why,
            )
        print_table(table)
    console = Console()
    if len(shown) > _ROWS:
        console.print(f"and {len(shown) - _ROWS} more (--json FILE has all)", markup=False)
    print_facts("", _facts(result))
    print_next(*_next_steps(result))


def _facts(result: GateResult) -> list[tuple[str, str]]:
    replayed = [one for one in result.deviations if one.found == "corpus"]
    share = result.model_seconds / max(result.seconds, 1e-9)
    rows = [
        ("pair", result.pair),
        (
            "corpus",
            f"{result.corpus}, {len(replayed)} deviations replayed in "
            f"{result.replay_seconds:.1f} s",
        ),
        ("baseline", result.baseline),
        ("policy", result.policy_from),
    ]
    if result.other_original:
        note = f"{result.other_original} entries are of another original"
        if result.foreign:
            left = len(replayed) - result.gone
            note += f", and {left or 'none'} of them deviate here: is this the corpus's pair?"
        rows.append(("note", note))
    if result.searched is not None:
        found, settings = result.searched.summary, result.searched.settings
        bound = "no bound" if settings["eps"] is None else f"{settings['norm']} ≤ {settings['eps']}"
        rows.append(
            (
                "search",
                f"{settings['name']}, {bound}, goal {settings['goal']}, random seed "
                f"{settings['random_seed']}: {found.seeds_effective} of {found.seeds} seeds "
                f"from rows {result.searched.rows} deviate, {found.seconds:.1f} s",
            )
        )
        if found.stopped != "done":
            why = {"time": "the time was up"}.get(found.stopped, found.stopped)
            rows.append(("search stopped", why))
        rows += [("note", note) for note in found.notes]
    if result.compared is not None:
        rows.append(("next to its record", result.compared.describe()))
    rows += [("note", note) for note in result.notes]
    rows += [("warning", warning) for warning in result.warnings]
    if result.clean is not None:
        clean = result.clean
        bound = f"below {clean.disagree_bound:.2%} with 95 % confidence"
        differ = f"{clean.disagree} of {clean.images}{tied(clean)} ({bound}), rows {clean.rows}"
        rows.append(("natural disagreement", differ))
        if clean.original_accuracy is not None:
            before, after = percent(clean.original_accuracy), percent(clean.deployed_accuracy)
            rows.append(("accuracy", f"original {before}, deployed {after}"))
        rows += figures_of(clean)
    counts = [f"{count} {status}" for status, count in result.counts.items() if count]
    rows.append(("deviations", ", ".join(counts) or "none"))
    if result.unknown:
        rows.append(("", f"{len(result.unknown)} of its lines have no entry in the corpus"))
    rows += [("limit", said) for said in result.failures.values()]
    rows.append(("seconds", f"{result.seconds:.1f}, {share:.0%} of them in model calls"))
    rows.append(("verdict", f"{result.verdict} (exit {result.exit_code})"))
    return rows


def _next_steps(result: GateResult) -> list[str]:
    """Commands that run as they are; what they are for stands behind them as a shell's comment."""
    steps = []
    own = str(baseline_of(Path(result.corpus)))
    where = {
        "corpus": result.corpus,
        "baseline": None if result.baseline in ("", own) else result.baseline,
    }
    pair = f" {result.options}" if result.options else ""
    new = result.of(Status.NEW)
    if new:
        first = new[0]
        found = None if first.found == "corpus" else result.found
        name = first.record.sha256[:12]
        steps.append(command("corpus show", name, corpus=found or result.corpus))
        accept = command("baseline accept", name, reason="…", **{"from": found}, **where)
        steps.append(f"{accept}{pair}  # or mend the model")
    if result.compared is not None and not result.compared.holds:
        accept = command("baseline accept", all=True, reason="…", **where)
        steps.append(f"{accept}{pair}  # if you want this pair as it is")
    if result.of(Status.STALE) or result.unknown:
        steps.append(command("baseline prune", **where) + pair)
    return steps
