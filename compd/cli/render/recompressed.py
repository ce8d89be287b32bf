"""What studies say that compress or train anew: from bits to ensembles."""

from __future__ import annotations

from compd.cli.render.tables import (
    interval,
    p_words,
    percent,
    print_line,
    print_table,
    study_table,
)
from compd.studies.bits import BitsResult
from compd.studies.ensemble import EnsembleResult
from compd.studies.formats import FormatsResult
from compd.studies.retraining import RetrainingResult
from compd.studies.strategies import StrategiesResult

__all__ = ["show_bits", "show_ensemble", "show_formats", "show_retraining", "show_strategies"]


def show_bits(result: BitsResult) -> None:
    """Print a row for each number of bits."""
    columns = ("bits", "swapped (95 %)", "lost", "ratio", "KL", "ECE", "confidence", "extreme")
    table = study_table("bits: the original's weights rounded to fewer bits", *columns)
    for one in result.bits:
        table.add_row(
            f"w{one.weight_bits}a{one.activation_bits}{' sim' if one.simulated else ''}",
            interval(one.swapped),
            "–" if one.error_change is None else f"{100 * one.error_change:+.2f} %",
            "–" if one.ratio is None else f"{one.ratio:+.2f}",
            "–" if one.kl is None else f"{one.kl:.4f}",
            percent(one.ece),
            "–" if one.median_confidence is None else f"{one.median_confidence:.3f}",
            str(one.extreme),
        )
    print_table(table)
    print_line(
        "bits: confidence is the original's on swapped images, median; on all images it is "
        f"{result.median_confidence:.3f}."
    )


def show_formats(result: FormatsResult) -> None:
    """Print a row for each format."""
    columns = (
        "format",
        "accuracy",
        "differ (95 %)",
        "KL",
        "shifted",
        "|change|",
        "more under shift",
    )
    table = study_table("formats: the original against itself, step by step", *columns)
    for one in result.formats:
        table.add_row(
            one.name,
            percent(one.accuracy),
            interval(one.disagreement),
            "–" if one.kl is None else f"{one.kl:.5f}",
            percent(one.shifted_disagreement),
            percent(one.mean_change),
            f"{one.more_under_shift} of {len(one.sets) - 1} sets",
        )
    print_table(table)


def show_strategies(result: StrategiesResult) -> None:
    """Print a row for each strategy, its figures means over random seeds."""
    columns = (
        "strategy",
        "accuracy",
        "int8",
        "|change|",
        "differ",
        "shifted",
        "shipped",
        "shifted",
    )
    table = study_table(
        f"strategies: {result.epochs} epochs each, then int8; shipped: against the original before",
        *(*columns, "ECE", "w4 ratio"),
    )
    names = dict.fromkeys(one.strategy for one in result.strategies)
    for name in names:
        table.add_row(
            name,
            *(
                percent(result.mean(name, figure))
                for figure in (
                    *("accuracy_float", "accuracy_deployed", "mean_change", "disagreement"),
                    *("shifted_disagreement", "original_disagreement"),
                    *("shifted_original_disagreement", "ece_float"),
                )
            ),
            "–" if (ratio := result.mean(name, "low_ratio")) is None else f"{ratio:+.2f}",
        )
    print_table(table)
    seeds = len(result.strategies) // len(names)
    if seeds > 1:
        print_line(f"strategies: means over {seeds} random seeds; each of them: --json")


def show_retraining(result: RetrainingResult) -> None:
    """Print the honest count and the published one."""
    columns = ("counted on", "images", "trained on", "before", "after", "fixed", "stubborn", "new")
    table = study_table(
        f"retraining: {result.epochs} epochs with the disagreeing images", *columns, "p"
    )
    for name, one in (
        ("held-out rows", result.heldout),
        ("as published: the same rows", result.published),
    ):
        counts = (one.images, one.trained_on, one.before, one.after, one.fixed, one.stubborn)
        table.add_row(name, *map(str, (*counts, one.new)), p_words(one.p_value))
    print_table(table)


def show_ensemble(result: EnsembleResult) -> None:
    """Print the members, and the ensemble last."""
    columns = (
        "model",
        "calls",
        "accuracy",
        "differ (95 %)",
        "shifted",
        "KL",
        "flipped",
        "severity",
    )
    table = study_table(
        f"ensemble: the severe search is within {result.eps}/255", *columns, "worst"
    )
    for one in result.models:
        table.add_row(
            one.name,
            str(one.calls),
            percent(one.accuracy),
            interval(one.disagreement),
            percent(one.shifted_disagreement),
            "–" if one.kl is None else f"{one.kl:.4f}",
            f"{one.flipped} of {one.seeds}",
            "–" if one.severity_median is None else f"{one.severity_median:.3f}",
            "–" if one.severity_max is None else f"{one.severity_max:.3f}",
        )
    print_table(table)
