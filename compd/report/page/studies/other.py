"""Uncertainty, calibration, bits and the guard on a page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from compd.report.page.studies.charts import Line, lines
from compd.report.page.studies.words import in_percent, points, range_of
from compd.report.page.tables import Table
from compd.statistics import Share
from compd.studies.bits import BitsResult
from compd.studies.calibration import Calibrated, CalibrationResult
from compd.studies.guard import Accepted, GuardResult
from compd.studies.uncertainty import SetUncertainty, UncertaintyResult
from compd.text import shortened

__all__ = [
    "bits_charts",
    "bits_tables",
    "calibration_charts",
    "calibration_tables",
    "guard_charts",
    "guard_lines",
    "guard_tables",
    "uncertainty_tables",
]

_ROWS = 100
_FEW = 8  # sets, beside the clean one, of which most figures say little
_SCORES = ("margin", "least_confidence", "gini", "entropy")
Charts = list[tuple[str, Markup, str]]


def _name(text: str) -> str:
    return shortened(text, 80)


def uncertainty_tables(result: UncertaintyResult) -> list[Table]:
    """AUC of each score, of both models."""
    found = [one for one in result.sets[1:] if one.original]
    found.sort(key=lambda one: (-one.apart, one.name))
    rows = [_scores(one) for one in [*result.sets[:1], *found[:_FEW]] if one.original]
    heads = (
        *("set", "images that differ", "margin", "least confidence", "Gini", "entropy"),
        "extreme",
    )
    note = (
        "Area under the ROC curve of scores of the original; the deployed model's own ones, which "
        "a guard sees, behind the stroke. Extreme: the models differ, and the original's margin is "
        f"above {result.extreme_margin:g}.{_left(found, 'where most images differ')}"
    )
    return [Table("Which images differ", heads, tuple(rows), note)] if rows else []


def _left(found: Sequence[object], which: str) -> str:
    return f" The {_FEW} of {len(found)} sets {which}." if len(found) > _FEW else ""


def _scores(one: SetUncertainty) -> tuple[str, ...]:
    cells = []
    for score in _SCORES:
        both = (one.original.get(score), one.deployed.get(score))
        cells.append(" / ".join("–" if found is None else f"{found.value:.3f}" for found in both))
    return (_name(one.name), str(one.apart), *cells, str(one.extreme))


def calibration_charts(result: CalibrationResult) -> Charts:
    """Reliability of both models on clean images."""
    if not result.sets:
        return []
    clean = result.sets[0]
    drawn = [
        _reliability(side, who)
        for side, who in ((clean.original, "original"), (clean.deployed, "deployed"))
    ]
    picture = lines(
        drawn,
        x_axis="confidence, %",
        y_axis="accuracy, %",
        ticks=[0, 20, 40, 60, 80, 100],
        most=100,
        diagonal=True,
    )
    said = "15 bins of equal count; below the dashed line a model is surer than it is right."
    return [(f"Reliability, {_name(clean.name)} images", picture, said)]


def _reliability(side: Calibrated, who: str) -> Line:
    bins = [
        (
            100 * bin_.confidence,
            Share.count_of(round(min(bin_.accuracy, 1) * bin_.count), bin_.count),
        )
        for bin_ in side.bins
        if bin_.accuracy is not None and bin_.confidence is not None and bin_.count > 0
    ]
    return Line(
        f"{who}, ECE {100 * side.ece:.1f} %",
        who,
        tuple((x, 100 * share.share) for x, share in bins),
        tuple((100 * share.low, 100 * share.high) for _, share in bins),
    )


def calibration_tables(result: CalibrationResult) -> list[Table]:
    """Confidence beside accuracy."""
    heads = ("set", "accuracy", "mean confidence", "ECE", "ECE, equal count")
    found = sorted(result.sets[1:], key=lambda one: (-one.deployed.ece, one.name))
    figures = ("accuracy", "confidence", "ece", "ece_equal_count")
    rows = tuple(
        (
            _name(one.name),
            *(
                f"{in_percent(getattr(one.original, name))} → "
                f"{in_percent(getattr(one.deployed, name))}"
                for name in figures
            ),
        )
        for one in [*result.sets[:1], *found[:_FEW]]
    )
    note = _left(found, "whose confidence is farthest off").strip()
    title = "Confidence and accuracy, original → deployed"
    return [Table(title, heads, rows, note)] if rows else []


def bits_charts(result: BitsResult) -> Charts:
    """Swapped answers and lost accuracy by bits."""
    found = result.bits
    if len(found) < 2:
        return []
    swapped = Line(
        "swapped answers",
        "deployed",
        tuple((float(one.weight_bits), 100 * one.swapped.share) for one in found),
        tuple((100 * one.swapped.low, 100 * one.swapped.high) for one in found),
    )
    lost = Line(
        "lost accuracy",
        "original",
        tuple(
            (float(one.weight_bits), 100 * one.error_change)
            for one in found
            if one.error_change is not None
        ),
    )
    picture = lines(
        [swapped, lost] if lost.points else [swapped],
        x_axis="bits of weights",
        y_axis="images, %",
        ticks=sorted({float(one.weight_bits) for one in found}),
        reverse=True,
    )
    return [("Fewer bits", picture, "Lost accuracy hides most of the answers that change.")]


def bits_tables(result: BitsResult) -> list[Table]:
    """A row a number of bits."""
    heads = ("bits of weights", "swapped (95 %)", "accuracy lost, points", "ratio", "KL, nats")
    rows = tuple(
        (
            f"{one.weight_bits}{', simulated' if one.simulated else ''}",
            range_of(one.swapped),
            points(one.error_change),
            "–" if one.ratio is None else f"{one.ratio:+.2f}",
            "–" if one.kl is None else f"{one.kl:.4f}",
            in_percent(one.ece),
            "–" if one.median_confidence is None else f"{one.median_confidence:.3f}",
            str(one.extreme),
        )
        for one in result.bits[:_ROWS]
    )
    note = (
        "Ratio: accuracy lost over answers swapped. Confidence: the original's on swapped images, "
        f"median; on all images it is {result.median_confidence:.3f}."
    )
    return [Table("Bits", (*heads, "ECE", "confidence", "extreme"), rows, note)]


def guard_lines(result: GuardResult) -> tuple[str, ...]:
    """What was chosen, and where it does not hold."""
    if result.threshold is None:
        return (
            f"No threshold keeps disagreement within {in_percent(result.alpha)} with "
            f"{100 * result.confidence:.0f} % confidence: that takes {result.needed} accepted "
            "images without any disagreement.",
        )
    failing = [one for one in result.sets if not one.holds]
    found = [
        f"Accept an answer where the deployed model's own margin is at least "
        f"{result.threshold:.2f}: on images like the clean ones, at most "
        f"{in_percent(result.alpha)} of the accepted differ, with "
        f"{100 * result.confidence:.0f} % confidence."
    ]
    if result.sets:
        found.append(
            f"Under shift this is exceeded on {len(failing)} of {len(result.sets)} sets: the "
            "guarantee is of images like those that it was chosen on."
        )
    if result.stored is not None:
        found.append(f"{result.stored_accepted or 0} of {result.stored} stored deviations pass.")
    return tuple(found)


def guard_charts(result: GuardResult) -> Charts:
    """Disagreement and coverage by threshold, on the held-out rows."""
    curve = [(i / 10, one) for i, one in enumerate(result.curve[:10]) if one.accepted]
    if len(curve) < 2:
        return []
    marks = [] if result.threshold is None else [(result.threshold, f"{result.threshold:.2f}")]
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    differ = lines(
        [
            Line("measured", "deployed", tuple((x, 100 * y.disagreement) for x, y in curve)),
            Line("at most (95 %)", "bound", tuple((x, 100 * y.bound) for x, y in curve)),
        ],
        x_axis="threshold on the margin",
        y_axis="differ, % of accepted images",
        ticks=ticks,
        marks=marks,
        levels=[100 * result.alpha],
    )
    cover = lines(
        [Line("coverage", "original", tuple((x, 100 * y.coverage) for x, y in curve))],
        x_axis="threshold on the margin",
        y_axis="accepted, % of images",
        ticks=ticks,
        most=100,
        marks=marks,
    )
    said = f"Held-out rows. Dashed across: {in_percent(result.alpha)}; upright: what was chosen."
    return [("What is let through", differ, said), ("What is accepted", cover, "")]


def guard_tables(result: GuardResult) -> list[Table]:
    """What the threshold lets through of each set."""
    if result.threshold is None:
        return []
    heads = ("set", "accepted", "differ", "at most (95 %)", "within", "accuracy", "with fallback")
    found = [one for one in (result.choosing, result.heldout) if one is not None]
    rows = tuple(_accepted(one) for one in [*found, *result.sets[:_ROWS]])
    note = "With fallback: the original answers what the guard does not accept."
    return [Table("The guard, set by set", heads, rows, note)]


def _accepted(one: Accepted) -> tuple[str, ...]:
    return (
        _name(one.name),
        in_percent(one.coverage),
        in_percent(one.disagreement),
        in_percent(one.bound),
        "yes" if one.holds else "no",
        in_percent(one.accuracy),
        in_percent(one.with_fallback),
    )
