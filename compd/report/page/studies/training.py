"""Formats, training strategies, retraining and ensembles on a page, as tables."""

from __future__ import annotations

from compd.report.page.studies.words import in_percent, p_value, range_of
from compd.report.page.tables import Table
from compd.studies.ensemble import EnsembleResult
from compd.studies.formats import FormatsResult
from compd.studies.retraining import RetrainingResult
from compd.studies.strategies import StrategiesResult
from compd.text import shortened

__all__ = ["ensemble_tables", "formats_tables", "retraining_tables", "strategies_tables"]

_ROWS = 100


def formats_tables(result: FormatsResult) -> list[Table]:
    """A row a format."""
    heads = ("format", "accuracy", "differ (95 %)", "KL, nats", "differ, shifted", "mean change")
    rows = tuple(
        (
            shortened(one.name, 80),
            in_percent(one.accuracy),
            range_of(one.disagreement),
            "–" if one.kl is None else f"{one.kl:.5f}",
            in_percent(one.shifted_disagreement),
            in_percent(one.mean_change),
        )
        for one in result.formats[:_ROWS]
    )
    return [Table("The original against itself, rounded step by step", heads, rows)]


def strategies_tables(result: StrategiesResult) -> list[Table]:
    """Means over random seeds, a row a strategy."""
    heads = (
        *("strategy", "accuracy", "int8", "mean change", "differ", "differ, shifted"),
        *("from the original before", "the same, shifted", "ECE"),
    )
    figures = (
        *("accuracy_float", "accuracy_deployed", "mean_change", "disagreement"),
        *("shifted_disagreement", "original_disagreement"),
        *("shifted_original_disagreement", "ece_float"),
    )
    names = list(dict.fromkeys(one.strategy for one in result.strategies))[:_ROWS]
    rows = tuple(
        (shortened(name, 80), *(in_percent(result.mean(name, figure)) for figure in figures))
        for name in names
    )
    return [Table(f"After {result.epochs} epochs each", heads, rows)]


def retraining_tables(result: RetrainingResult) -> list[Table]:
    """Held out, and as published."""
    heads = ("counted on", "images", "trained on", "before", "after", "fixed", "stubborn", "new")
    both = (("held-out rows", result.heldout), ("the rows trained on", result.published))
    rows = tuple(
        (
            name,
            *(str(getattr(one, key)) for key in ("images", "trained_on", "before", "after")),
            *(str(getattr(one, key)) for key in ("fixed", "stubborn", "new")),
            p_value(one.p_value),
        )
        for name, one in both
    )
    note = "The second row is the published protocol, which counts the images it trained on."
    return [Table(f"Disagreements, {result.epochs} epochs", (*heads, "p"), rows, note)]


def ensemble_tables(result: EnsembleResult) -> list[Table]:
    """A row a member, the ensemble last."""
    heads = (
        "model",
        "calls",
        "accuracy",
        "differ (95 %)",
        "differ, shifted",
        "KL, nats",
        "flipped",
    )
    rows = tuple(
        (
            shortened(one.name, 80),
            str(one.calls),
            in_percent(one.accuracy),
            range_of(one.disagreement),
            in_percent(one.shifted_disagreement),
            "–" if one.kl is None else f"{one.kl:.4f}",
            f"{one.flipped} of {one.seeds}",
        )
        for one in result.models[:_ROWS]
    )
    note = f"Flipped: of the seeds of a severe search within {result.eps}/255."
    return [Table("Members and their mean", heads, rows, note)]
