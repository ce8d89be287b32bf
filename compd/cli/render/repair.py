"""The verdict on a repair, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from compd.cli.console import Console
from compd.cli.render.tables import percent, print_facts, print_next
from compd.repairing import Plan, RepairResult
from compd.statistics import Share
from compd.wording import command

__all__ = ["print_plan", "print_repair"]


def print_plan(plan: Plan) -> None:
    """Print what a repair would do."""
    print_facts(
        "",
        [
            ("entries", f"{plan.entries} of the corpus; {plan.training_images} training images"),
            ("rounds", f"at most {plan.rounds} of {plan.steps} steps with {plan.batch} images"),
            (
                "time",
                f"about {_duration(plan.seconds)} for the rounds; the searches and the "
                "verdict come on top",
            ),
            *(("note", note) for note in plan.notes),
        ],
    )


def print_repair(result: RepairResult, corpus: Path, *, trust: bool) -> None:
    """Print a repair's whole verdict.

    Args:
        result: of the repair.
        corpus: that it trained on.
        trust: whether commands have to be told to trust the pair.
    """
    clean = result.clean
    kept = (
        "the start (no round was better)"
        if result.best_round == 0
        else f"round {result.best_round} of {result.rounds}"
    )
    print_facts(
        "",
        [
            ("pair", result.pair),
            ("trained on", f"rows {result.rows['repair training']}"),
            (
                "kept",
                f"{kept}, chosen on rows {result.rows['repair selection']}; "
                f"{_duration(result.seconds)}",
            ),
            ("verdict on", f"rows {clean.rows}, touched by nothing else ({clean.images} images)"),
            *(("note", note) for note in result.notes),
        ],
    )
    _print_table(
        "Rounds, on the selection rows",
        (
            "",
            "mean severity",
            "≥ 0.2",
            "effective",
            "accuracy",
            "natural disagreement",
            "of the way",
        ),
        [
            (
                "start" if seen.round == 0 else f"round {seen.round}",
                f"{seen.severity:.4f}",
                percent(seen.severe),
                percent(seen.effective),
                percent(seen.accuracy),
                percent(seen.natural),
                f"{seen.blend:.0%}" if seen.round else "",
            )
            if not seen.diverged
            else (f"round {seen.round}", "diverged", *[""] * 5)
            for seen in result.seen
        ],
    )
    _print_table("Clean images", ("", "before", "after", "original"), _clean_rows(result))
    _print_table(
        "Deviations",
        ("", "before", "after"),
        [
            (
                "of the corpus, still effective",
                str(result.corpus_effective_before),
                str(result.corpus_effective_after),
            ),
            (
                "found on held-out seeds, still effective",
                str(result.heldout_effective_before),
                str(result.heldout_effective_after),
            ),
        ],
    )
    columns = ["effective", *(f"≥ {level}" for level in result.severity_shares_before)]
    _print_table(
        f"Fresh searches from {result.fresh_seeds} held-out seeds, {_bound(result)}: share of "
        "seeds, before → after",
        ("search", *columns),
        [
            (
                fresh.search,
                _change(fresh.effective_before.share, fresh.effective_after.share),
                *(
                    _change(fresh.severity_shares_before[k], fresh.severity_shares_after[k])
                    for k in fresh.severity_shares_before
                ),
            )
            for fresh in result.fresh
        ],
    )
    _print_table(
        "Accuracy under attack",
        ("", "before", "after", "original"),
        [
            (
                f"{r.attack} ({r.images} images)",
                percent(r.before),
                percent(r.after),
                percent(r.original),
            )
            for r in result.robust
        ],
    )
    pair = {"pair": result.pair, "trust": trust}
    print_next(command("fuzz", **pair), command("corpus verify", **pair, corpus=corpus))


def _clean_rows(result: RepairResult) -> list[tuple[str, ...]]:
    clean = result.clean

    def count(s: Share) -> str:
        return f"{s.count} ({percent(s.share)}, {100 * s.low:.2f} to {100 * s.high:.2f})"

    rows: list[tuple[str, ...]] = [
        (
            "accuracy",
            percent(clean.accuracy_before),
            percent(clean.accuracy_after),
            percent(clean.accuracy_original),
        ),
        ("natural disagreement", count(clean.natural_before), count(clean.natural_after), ""),
        ("  fixed", "", count(clean.fixed), ""),
        ("  stubborn", "", count(clean.stubborn), ""),
        (f"  new (McNemar p = {clean.p_value:.3g})", "", count(clean.new), ""),
        ("mean KL to the original", f"{clean.kl_before:.5f}", f"{clean.kl_after:.5f}", ""),
    ]
    if clean.top5 is not None:
        top5 = (percent(clean.top5[who]) for who in ("before", "after", "original"))
        rows.insert(1, ("top-5 accuracy", *top5))
    for name in clean.worse_classes:
        original, before, after = clean.accuracy_by_class[name]
        rows.append((f"  worse: class {name}", percent(before), percent(after), percent(original)))
    return rows


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left", style="" if i else "dim")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width
        console = Console(width=160)
    console.print(table, markup=False)


def _bound(result: RepairResult) -> str:
    eps = result.settings["eps"]
    return "no bound" if eps == 255 else f"within {eps}/255"


def _change(before: float, after: float) -> str:
    return f"{100 * before:.1f} → {100 * after:.1f} %"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
