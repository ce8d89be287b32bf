"""What a gate and a repair say, before and after, as tables of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compd.report.page.shown import GateShown, RepairShown
from compd.report.page.words import interval, of_images, percent, points
from compd.report.sentence import name_words

__all__ = ["Table", "gate_tables", "repair_tables"]

_ROWS = 40


@dataclass(frozen=True)
class Table:
    """A table of texts; all but the first column are figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def gate_tables(gate: GateShown) -> list[Table]:
    """What a gate compared, and what does not hold."""
    tables = []
    if gate.failures:
        rows = tuple((name, why) for name, why in gate.failures.items())
        tables.append(Table("What does not hold", ("limit", "why"), rows))
    counts = tuple((name, str(count)) for name, count in gate.counts.items() if count)
    if counts:
        tables.append(Table("Deviations by status", ("status", "deviations"), counts))
    if gate.mean is not None:
        before, now = gate.mean
        every = ("all seeds, mean", "", f"{before:.3f}", f"{now:.3f}", f"{now - before:+.3f}")
        worse = (
            (name_words(seed), name_words(flip), f"{was:.2f}", f"{is_:.2f}", f"{is_ - was:+.2f}")
            for seed, flip, was, is_ in gate.worse[:_ROWS]
        )
        tables.append(
            Table(
                "Severity of each seed's worst deviation, next to the accepted pair",
                ("seed", "flip now", "accepted", "now", "change"),
                (every, *worse),
                _more(len(gate.worse)) or "Seeds are named where they make the pair worse.",
            )
        )
    if gate.clean:
        rows = tuple(gate.clean.items())
        tables.append(Table("Clean images", ("", "measured"), rows))
    return tables


def repair_tables(repair: RepairShown) -> list[Table]:
    """What a repair measured on held-out rows."""
    original, before, after = repair.accuracy
    was, now = repair.natural
    clean: list[tuple[str, ...]] = [
        ("accuracy", interval(before), interval(after), interval(original)),
        ("differs from the original untouched", of_images(was), of_images(now), "–"),
        ("of these new, fixed", "–", f"{repair.new} new, {repair.fixed} fixed", "–"),
        ("corpus entries that deviate", str(repair.corpus[0]), str(repair.corpus[1]), "–"),
        ("held-out findings that deviate", str(repair.heldout[0]), str(repair.heldout[1]), "–"),
    ]
    columns = ("", "before", "after", "original")
    tables = [
        Table(
            f"Before and after, on {repair.images} held-out images",
            columns,
            tuple(clean),
            f"McNemar's test of natural disagreement: p = {repair.chance:.3g}. "
            f"Round {repair.best_round} of {repair.rounds} was kept.",
        )
    ]
    if repair.fresh:
        levels = [level for level, _, _ in repair.fresh[0].severe]
        rows = tuple(
            (
                one.search,
                of_images(one.before),
                of_images(one.after),
                *(f"{100 * a:.1f} → {100 * b:.1f} %" for _, a, b in one.severe[: len(levels)]),
            )
            for one in repair.fresh
        )
        heads = ("search", "flip before", "flip after", *(f"severity ≥ {one}" for one in levels))
        tables.append(Table("Fresh searches from held-out seeds", heads, _even(rows, len(heads))))
    if repair.robust:
        rows = tuple(
            (attack, percent(b), percent(c), percent(a)) for attack, a, b, c in repair.robust
        )
        tables.append(Table("Accuracy under attack", columns, rows))
    if repair.by_class:
        tables.append(_by_class(repair))
    return tables


def _by_class(repair: RepairShown) -> Table:
    ordered = sorted(repair.by_class.items(), key=lambda one: one[1][2] - one[1][1])
    kept = ordered[:_ROWS] if len(ordered) > _ROWS else list(repair.by_class.items())
    rows = tuple(
        (name_words(name), percent(b), percent(c), percent(a), points(b, c))
        for name, (a, b, c) in kept
    )
    note = f"The {_ROWS} of {len(ordered)} that lost most." if len(ordered) > _ROWS else ""
    return Table(
        "Accuracy by class", ("class", "before", "after", "original", "change, points"), rows, note
    )


def _even(rows: Sequence[tuple[str, ...]], width: int) -> tuple[tuple[str, ...], ...]:
    return tuple((*row, *["–"] * (width - len(row))) for row in rows)


def _more(count: int) -> str:
    return f"The {_ROWS} that rose most, of {count}." if count > _ROWS else ""
