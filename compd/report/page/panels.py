"""The first thing on a page: of each model, what was seen, and what that does and does not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compd.corpus import Record
from compd.report.page.judgement import Judgement, judge_campaign, sure_of
from compd.report.page.shown import CampaignShown, GateShown
from compd.report.page.suffering import suffering_of
from compd.report.page.words import at_most, percent
from compd.report.sentence import bound_words, bounded
from compd.statistics import Share

__all__ = ["Line", "Panel", "panel_of", "panel_of_gate"]

_UNTOUCHED = (
    "This is what users would notice, as far as their images are like these; of rarer ones it says "
    "nothing."
)
_SEARCHED = (
    "These images were searched for, the worst within the bound, and not met in use: they prove "
    "that the two models differ there, and not how often anybody meets that."
)
_NOTHING = (
    "The worst within the bound was searched for. That nothing was found does not prove that there "
    "is nothing: a longer or wider search may find it."
)


@dataclass(frozen=True)
class Line:
    """One thing that was seen."""

    name: str
    said: str
    means: str = ""  # what it does and does not show


@dataclass(frozen=True)
class Panel:
    """A model."""

    key: str  # of its section
    name: str
    full: str  # once in full; empty: the name says it
    judgement: Judgement | None
    lines: tuple[Line, ...]


def panel_of(key: str, campaign: CampaignShown, records: Sequence[Record]) -> Panel:
    """What a search saw.

    Args:
        key: of the section that has more of it.
        campaign: its result.
        records: the deviations of its corpus, the most severe first.
    """
    lines = [Line("untouched images", _untouched(campaign.natural), _UNTOUCHED)]
    before, after = campaign.original, campaign.deployed
    if before is not None and after is not None:
        said = f"{percent(after.share)} right; the original {percent(before.share)}"
        lines.append(Line("accuracy", f"{said}."))
    means = _SEARCHED if campaign.found else _NOTHING if campaign.seeds else ""
    lines.append(Line("worst-case search", _searched(campaign, records), means))
    suffering = suffering_of(campaign, records)
    if suffering.worst:
        lines.append(Line("worst class", f"{suffering.worst} {suffering.targets}".rstrip()))
    full = campaign.full if campaign.full != campaign.made else ""
    return Panel(key, campaign.made, full, judge_campaign(campaign, records), tuple(lines))


def panel_of_gate(gate: GateShown) -> Panel | None:
    """What a gate saw beside the entries that it replayed; None if it did not look."""
    lines = []
    if "natural disagreement" in gate.clean:
        count, _, bound = gate.clean["natural disagreement"].partition(", ")
        said = f"{count} get another answer ({bound})."
        lines.append(Line("untouched images", said, _UNTOUCHED))
    accuracy = {key: value for key, value in gate.clean.items() if key.startswith("accuracy")}
    if accuracy:
        said = ", ".join(f"{key.rpartition(', ')[2]} {value}" for key, value in accuracy.items())
        lines.append(Line("accuracy", f"{said}."))
    if gate.search:
        lines.append(Line("worst-case search", f"{gate.search}.", _SEARCHED))
    return Panel("", "What the gate saw", "", None, tuple(lines)) if lines else None


def _untouched(natural: Share) -> str:
    if not natural.of:
        return "None was looked at."
    get = "gets" if natural.count == 1 else "get"
    return f"{natural.count} of {natural.of} {get} another answer ({at_most(natural)})."


def _searched(campaign: CampaignShown, records: Sequence[Record]) -> str:
    within = bounded(bound_words(campaign.eps, campaign.norm, campaign.strategy))
    if campaign.norm == "linf" and campaign.eps and campaign.eps < 255:
        within += f" (each value of a pixel moved by {100 * campaign.eps / 255:.1f} % at most)"
    images = f"{campaign.seeds} image{'' if campaign.seeds == 1 else 's'}"
    if not campaign.found:
        return f"none of {images} flips{within}."
    said = f"{campaign.found} of {images} {'flips' if campaign.found == 1 else 'flip'}{within}"
    sure = sure_of(campaign, records) if campaign.severe else campaign.sure or 0
    if not sure:
        return f"{said}; on none of them are both models sure."
    if campaign.sure is None:
        return f"{said}; on some, both models are sure."
    return f"{said}; on {sure}, both models are sure, and on {campaign.very_sure} over 90 % sure."
