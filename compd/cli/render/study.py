"""What studies say, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compd.cli.console import Console
from compd.cli.render.recompressed import (
    show_bits,
    show_ensemble,
    show_formats,
    show_retraining,
    show_strategies,
)
from compd.cli.render.tables import (
    interval,
    p_words,
    percent,
    print_facts,
    print_line,
    print_next,
    print_table,
    study_table,
)
from compd.studies.calibration import CalibrationResult
from compd.studies.guard import Accepted, GuardResult
from compd.studies.run import StudyReport
from compd.studies.shifts import SetFigures, ShiftsResult
from compd.studies.uncertainty import SetUncertainty, UncertaintyResult

__all__ = ["print_study"]

_SHOWN = 20  # sets
_FEW = 8  # where each takes two lines
_WIDE = 110  # columns from which all figures fit


def print_study(
    report: StudyReport, next_steps: Sequence[str], *, seconds: float, model_seconds: float
) -> None:
    """Print a table for each study, its sentences, and what to type next.

    Args:
        report: what the studies say.
        next_steps: commands.
        seconds: that they took.
        model_seconds: of these, inside model calls.
    """
    print_facts(
        "",
        [
            ("pair", report.pair),
            ("images", f"{report.images} of each set, from {report.rows}"),
            *((("left out", ", ".join(report.left_out)),) if report.left_out else ()),
            ("time", f"{seconds:.1f} s, {model_seconds / max(seconds, 1e-9):.0%} in model calls"),
            *((f"no {name}", why) for name, why in report.skipped.items()),
        ],
    )
    for name, result in report.results.items():
        print_line("")
        show = _SHOW.get(name)
        if show is None:  # of another package
            print_facts(name, [(key, str(value)) for key, value in vars(result).items()])
        else:
            show(result)
    print_next(*next_steps)


def _shifts(result: ShiftsResult) -> None:
    wide = Console().width >= _WIDE
    columns = ["set", "accuracy", "change", "differ (95 %)", "times", "lost", "KL"]
    columns += ["p", "gained", "top-5", "clipped"] if wide else []
    table = study_table("shifts: what the deployed model answers otherwise", *columns)
    shown = [result.clean, *result.sets[:_SHOWN]]
    for one in shown:
        table.add_row(*_set_row(one, wide))
    print_table(table)
    if len(result.sets) > _SHOWN:
        print_line(f"and {len(result.sets) - _SHOWN} more sets: see --json")
    for line in _shift_sentences(result):
        print_line(line)


def _set_row(one: SetFigures, wide: bool) -> list[str]:
    n = one.images
    row = [
        one.name,
        percent(one.accuracy_original),
        "–" if one.accuracy_change is None else f"{100 * one.accuracy_change:+.2f}",
        interval(one.disagreement),
        "–" if one.factor is None else f"{one.factor:.1f}",
        "–" if one.flips is None else f"{100 * one.flips.only_original / n:.2f} %",
        "–" if one.kl is None else f"{one.kl:.4f}",
    ]
    if wide:
        row += [
            "–" if one.p_value is None else p_words(one.p_value),
            "–" if one.flips is None else f"{100 * one.flips.only_deployed / n:.2f} %",
            "–" if one.top5 is None else percent(one.top5.deployed),
            "–" if one.clipped is None else percent(one.clipped),
        ]
    return row


def _shift_sentences(result: ShiftsResult) -> list[str]:
    lines = []
    shifted = [one for one in result.sets if one.p_value is not None]
    base = result.clean.disagreement.share
    if shifted:
        more = [one for one in shifted if (one.p_value or 0) < 0.05 and _share(one) > base]
        fewer = [one for one in shifted if (one.p_value or 0) < 0.05 and _share(one) < base]
        worst = max(shifted, key=_share)
        lines.append(
            f"disagreement: more than on clean images ({percent(base)}), beyond chance, on "
            f"{len(more)} of {len(shifted)} shifted sets"
            + (f", less on {len(fewer)}" if fewer else "")
            + f"; worst: {worst.name}, {percent(_share(worst))}."
        )
    if result.sets and result.clean.flips is not None:
        lines.append(
            f"accuracy: the deployed model is better on {result.better} of {len(result.sets)} "
            f"sets and worse on {result.worse}; beyond chance: better on {result.better_surely}, "
            f"worse on {result.worse_surely}."
        )
    for one in (result.clean, *result.sets):
        if one.losing:
            more_of = f" and {len(one.losing) - 5} more" if len(one.losing) > 5 else ""
            lines.append(f"classes that lose on {one.name}: {', '.join(one.losing[:5])}{more_of}.")
    return lines[: _SHOWN // 2]


def _share(one: SetFigures) -> float:
    return one.disagreement.share


def _uncertainty(result: UncertaintyResult) -> None:
    table = study_table(
        "uncertainty: AUC of scores that tell images on which the models differ",
        *("set", "differ", "of the", "margin (95 %)", "LC", "Gini", "entropy", "extreme"),
    )
    clean, *rest = result.sets
    most = sorted((one for one in rest if one.original), key=lambda one: (-one.apart, one.name))
    for one in [clean, *most[:_FEW]]:
        for who, found in (("original", one.original), ("deployed", one.deployed)):
            table.add_row(*_score_row(one, who, found))
    print_table(table)
    if len(most) > _FEW:
        print_line(f"and {len(most) - _FEW} more sets: see --json")
    if not clean.original:
        print_line("uncertainty: on clean images there is nothing to tell apart.")
        return
    beaten = [name for name, above in clean.margin_above.items() if above.low > 0]
    print_line(
        "uncertainty: on clean images the original's margin is better, beyond chance, than "
        + (", ".join(name.replace("_", " ") for name in beaten) or "no other score")
        + f"; {clean.extreme} extreme (the original's margin above {result.extreme_margin})."
    )


def _score_row(one: SetUncertainty, who: str, found: Mapping[str, Any]) -> list[str]:
    margin = found.get("margin")
    first = who == "original"
    row = [one.name if first else "", str(one.apart) if first else "", who]
    row.append(
        "–" if margin is None else f"{margin.value:.3f} ({margin.low:.3f}–{margin.high:.3f})"
    )
    for name in ("least_confidence", "gini", "entropy"):
        row.append("–" if name not in found else f"{found[name].value:.3f}")
    return [*row, str(one.extreme) if first else ""]


def _calibration(result: CalibrationResult) -> None:
    table = study_table(
        "calibration: how far confidence is from accuracy, original → deployed",
        *("set", "accuracy", "confidence", "ECE", "equal count"),
    )
    for one in result.sets[: _SHOWN + 1]:
        o, d = one.original, one.deployed
        table.add_row(
            one.name,
            *(
                f"{100 * getattr(o, name):.2f} → {100 * getattr(d, name):.2f} %"
                for name in ("accuracy", "confidence", "ece", "ece_equal_count")
            ),
        )
    print_table(table)
    if len(result.sets) > _SHOWN + 1:
        print_line(f"and {len(result.sets) - _SHOWN - 1} more sets: see --json")


def _guard(result: GuardResult) -> None:
    columns = ("set", "accepted", "differ", "at most", "holds", "accuracy", "with fallback")
    table = study_table(
        f"guard: disagreement at most {percent(result.alpha)} among accepted", *columns
    )
    rows: list[Accepted | None] = [result.choosing, result.heldout, *result.sets[:_SHOWN]]
    for one in rows:
        if one is not None:
            table.add_row(
                one.name,
                f"{100 * one.coverage:.1f} %",
                percent(one.disagreement),
                percent(one.bound),
                "yes" if one.holds else "NO",
                percent(one.accuracy),
                percent(one.with_fallback),
            )
    if result.threshold is not None:
        print_table(table)
    for line in _guard_sentences(result):
        print_line(line)


def _guard_sentences(result: GuardResult) -> list[str]:
    if result.threshold is None:
        return [
            f"guard: no margin can be guaranteed to keep disagreement within "
            f"{percent(result.alpha)}; it takes {result.needed} accepted images without any, or a "
            "larger --alpha."
        ]
    heldout = result.heldout
    share = "" if heldout is None else f": {100 * heldout.coverage:.1f} % of held-out images"
    lines = [f"guard: accept where the margin is at least {result.threshold:.2f}{share}."]
    failing = [one for one in result.sets if not one.holds]
    if result.sets:
        lines.append(
            f"guard: under shift it is exceeded on {len(failing)} of {len(result.sets)} sets"
            + (
                f"; worst: {failing[0].name}, {percent(failing[0].disagreement)}."
                if failing
                else "."
            )
        )
    if result.stored is not None:
        lines.append(f"guard: {result.stored_accepted} of {result.stored} stored deviations pass.")
    return [*lines, f"device: {result.device}"]


_SHOW: Mapping[str, Callable[[Any], None]] = {
    "shifts": _shifts,
    "uncertainty": _uncertainty,
    "calibration": _calibration,
    "guard": _guard,
    "bits": show_bits,
    "formats": show_formats,
    "strategies": show_strategies,
    "retraining": show_retraining,
    "ensemble": show_ensemble,
}
