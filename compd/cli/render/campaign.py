"""What campaigns found, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from compd.cli.render.tables import (
    flips,
    natural,
    percent,
    percent_of,
    print_facts,
    print_line,
    print_next,
    print_table,
)
from compd.report import CampaignReport
from compd.report.sentence import (
    bound_words,
    campaign_sentence,
    made_words,
    shift_words,
    shifts_sentence,
    worst_shifts,
)

__all__ = ["print_campaigns"]

_WORST = 8  # shifts that are listed


def print_campaigns(results: Sequence[CampaignReport], next_steps: Sequence[str]) -> None:
    """Print what was found on each pair, in numbers and in words, and what to type next.

    Args:
        results: of pairs of the same original and data, one at least.
        next_steps: commands.
    """
    if len(results) == 1:
        print_facts("", _facts(results[0]))
    else:
        _print_several(results)
    print_line("")
    for result in results:
        if result.shifts:
            print_table(_shifts(result.shifts))
            print_line(shifts_sentence(result.shifts, result.settings["goal"]))
        print_line(campaign_sentence(result))
    print_next(*next_steps)


def _print_several(results: Sequence[CampaignReport]) -> None:
    """A row of a table for each pair, and what they share."""
    first = results[0]
    table = Table(box=None, pad_edge=False)
    for column in ("deployed", "accuracy", "differ\nuntouched", "flipped\nseeds"):
        table.add_column(column)
    for column in ("severity\nmedian", "\nworst", "stable"):
        table.add_column(column, justify="right")
    for one in results:
        made = one.settings["compress"]
        table.add_row(
            f"{made_words(made)} ({one.compress})",
            percent(one.deployed_accuracy),
            percent(one.natural_disagreement),
            f"{one.seeds_effective} of {one.seeds}",
            _number(one.severity_median),
            _number(one.severity_max),
            str(one.stability.get("stable", "–")),
        )
    shared = [
        ("original", _original(first)),
        ("search", _search(first)),
        ("seeds", _seeds(first)),
    ]
    rows = []
    for one in results:
        name = made_words(one.settings["compress"])
        rows += [
            (name, f"{one.corpus} ({one.stored} new)"),
            ("", _cost(one)),
            *(("", text) for text in _stopped(one)),
            *(("note", f"{name}: {note}") for note in one.notes),
        ]
    print_facts("", shared)
    print_line("")
    print_table(table)
    print_line("")
    print_facts("", rows)


def _facts(report: CampaignReport) -> list[tuple[str, str]]:
    """All that there is to say of one campaign."""
    clean = report.clean_images
    rate = report.seeds_effective / max(1, report.seeds)
    severity = (
        "–"
        if report.severity_median is None
        else f"median {report.severity_median:.3f}, p90 {report.severity_p90:.3f}, "
        f"highest {report.severity_max:.3f}"
    )
    distance = (
        "–"
        if report.l2_mean is None
        else f"Linf at most {report.linf_max}/255, L2 per pixel {report.l2_mean:.4f} on average"
    )
    return [
        ("pair", _pair(report)),
        (
            "accuracy",
            f"original {percent_of(report.original_accuracy, clean)}, deployed "
            f"{percent_of(report.deployed_accuracy, clean)} of {clean} clean images "
            f"(rows {report.rows['test']})",
        ),
        (
            "natural disagreement",
            f"{natural(report.natural_disagreement, report.natural_ties, clean)} of these",
        ),
        *(() if report.flips is None else [("flips", flips(report.flips))]),
        (
            "shadow against deployed",
            f"{percent_of(report.shadow_deployed_disagreement, report.shadow_images)} of "
            f"{report.shadow_images} differ",
        ),
        ("search", _search(report)),
        ("seeds", _seeds(report)),
        (
            "seeds with an effective deviation",
            f"{report.seeds_effective} of {report.seeds} ({percent(rate)})",
        ),
        (
            "images",
            f"{report.images_effective} effective, {report.images_valid} valid, "
            f"{report.images_invalid} invalid",
        ),
        ("severity", severity),
        ("distance", distance),
        ("cost", _cost(report)),
        ("replayed", ", ".join(f"{n} {name}" for name, n in report.stability.items()) or "–"),
        ("corpus", f"{report.corpus} ({report.stored} new)"),
        *(("stopped", text) for text in _stopped(report)),
        *(("note", note) for note in report.notes),
    ]


def _shifts(rates: Sequence[Mapping[str, Any]]) -> Table:
    """The shifts that part the models most."""
    table = Table(box=None, pad_edge=False)
    for column in ("shift", "label kept", "left by the deployed"):
        table.add_column(column)
    for one in worst_shifts(rates, _WORST):
        table.add_row(
            shift_words(one["shift"]),
            f"{one['kept']} of {one['seeds']} seeds",
            f"{one['left']} of these, {percent_of(one['left'] / one['kept'], one['kept'])}",
        )
    return table


def _pair(report: CampaignReport) -> str:
    made = report.settings["compress"]
    if made["kind"] == "given":
        return f"{made['original']} and {made['deployed']} on {report.data}, {report.engine}"
    return f"{_model(report)} on {report.data}, {report.compress}, {report.engine}"


def _model(report: CampaignReport) -> str:
    width = report.settings["width"]
    return f"{report.model}{'' if width is None else f' (width {width})'}"


def _original(report: CampaignReport) -> str:
    return (
        f"{_model(report)} on {report.data}, "
        f"{percent_of(report.original_accuracy, report.clean_images)} of {report.clean_images} "
        f"clean images right (rows {report.rows['test']})"
    )


def _search(report: CampaignReport) -> str:
    settings = report.settings
    said = [report.strategy]
    if report.shifts:
        said.append(f"kinds {settings['strategy'].get('kinds')}")
    else:
        said.append(bound_words(settings["eps"], settings["norm"]))
    said.append(f"goal {settings['goal']}")
    if settings["flip"] is not None:
        said.append(f"flip {settings['flip']}")
    for name in ("steps", "queries", "coverage"):
        value = settings["strategy"].get(name)
        said += [] if value in (None, "none") else [f"{name} {value}"]
    return ", ".join(said)


def _seeds(report: CampaignReport) -> str:
    said = [f"{report.seeds} from rows {report.rows['seeds']}"]
    if report.seeds_set_aside:
        said.append(f"{report.seeds_set_aside} set aside that differ untouched")
    if report.seeds_wrong:
        said.append(f"{report.seeds_wrong} set aside that the original gets wrong")
    return "; ".join(said)


def _cost(report: CampaignReport) -> str:
    return (
        f"{report.seconds:.1f} s, {report.gradients_per_seed:g} gradients and "
        f"{report.forwards_per_seed:g} forwards a seed"
    )


def _stopped(report: CampaignReport) -> list[str]:
    if report.stopped == "done":
        return []
    return [{"time": "the time was up"}.get(report.stopped, report.stopped)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
