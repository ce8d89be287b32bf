"""What a campaign found, for people."""

from __future__ import annotations

from collections.abc import Sequence

from compd.cli.render.tables import natural, percent, percent_of, print_facts, print_next
from compd.report import CampaignReport

__all__ = ["print_campaign"]


def _pair(report: CampaignReport) -> str:
    made, width = report.settings["compress"], report.settings["width"]
    if made["kind"] == "given":
        return f"{made['original']} and {made['deployed']} on {report.data}, {report.engine}"
    wide = "" if width is None else f" (width {width})"
    return f"{report.model}{wide} on {report.data}, {report.compress}, {report.engine}"


def print_campaign(report: CampaignReport, next_steps: Sequence[str]) -> None:
    """Print what a campaign found, and what to type next."""
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
    eps = report.settings["eps"]
    norm = {"linf": "Linf", "l2": "L2"}[report.settings["norm"]]
    bound = "no bound" if eps is None else f"{norm} ≤ {eps}/255"
    aim = f"goal {report.settings['goal']}"
    if report.settings["flip"] is not None:
        aim += f", flip {report.settings['flip']}"
    for name in ("steps", "queries", "coverage"):
        value = report.settings["strategy"].get(name)
        aim += "" if value in (None, "none") else f", {name} {value}"
    rows = [
        ("pair", _pair(report)),
        (
            "accuracy",
            f"original {percent_of(report.original_accuracy, clean)}, deployed "
            f"{percent_of(report.deployed_accuracy, clean)} of {clean} clean images "
            f"(rows {report.rows['test']})",
        ),
        (
            "natural disagreement",
            f"{natural(report.natural_disagreement, report.natural_ties, clean)} of these; "
            f"{report.seeds_set_aside} seeds set aside",
        ),
        (
            "shadow against deployed",
            f"{percent_of(report.shadow_deployed_disagreement, report.shadow_images)} of "
            f"{report.shadow_images} differ",
        ),
        ("search", f"{report.strategy}, {bound}, {aim}, from rows {report.rows['seeds']}"),
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
        (
            "cost",
            f"{report.seconds:.1f} s, {report.gradients_per_seed:g} gradients and "
            f"{report.forwards_per_seed:g} forwards a seed",
        ),
        ("replayed", ", ".join(f"{n} {name}" for name, n in report.stability.items()) or "–"),
        ("corpus", f"{report.corpus} ({report.stored} new)"),
    ]
    if report.stopped != "done":
        rows.append(("stopped", {"time": "the time was up"}.get(report.stopped, report.stopped)))
    rows += [("note", note) for note in report.notes]
    print_facts("", rows)
    print_next(*next_steps)
