"""What a search's result means for whoever has to decide, by rules that docs/report.md states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compd.corpus import Record
from compd.report.page.shown import CampaignShown
from compd.report.page.suffering import found_in
from compd.report.page.words import percent
from compd.statistics import mcnemar

__all__ = ["Judgement", "judge_campaign", "judge_corpus", "sure_of"]

_CHANCE = 0.05  # p-value of a loss of accuracy


@dataclass(frozen=True)
class Judgement:
    """One line, and how it looks."""

    tone: str  # "good", "mild", "bad"; or "none": nothing says that anything was searched
    text: str


def judge_campaign(campaign: CampaignShown, records: Sequence[Record]) -> Judgement:
    """Judge a search; the first rule that fits decides.

    Args:
        campaign: its result.
        records: what its corpus holds, for results that do not count sure flips.
    """
    if not campaign.seeds:
        return Judgement("none", "Nothing was searched. This says nothing yet.")
    if lost := _lost(campaign):
        return Judgement("bad", f"Accuracy is lost, {lost}. Mend the model before shipping.")
    if sure := sure_of(campaign, records):
        said = f"{sure} sure flip{'' if sure == 1 else 's'}"
        return Judgement("bad", f"{said}. Look at them; repair or gate before shipping.")
    if campaign.natural.count:
        some = f"{campaign.natural.count} of {campaign.natural.of} untouched images"
        return Judgement(
            "mild",
            f"No sure flip was found, but {some} get another answer. Decide whether that is "
            "little enough, and let a gate hold it.",
        )
    if campaign.stopped != "done":
        return Judgement("mild", "No sure flip was found, but the search was cut short. Go on.")
    if campaign.goal != "severe" and campaign.found:
        return Judgement(
            "mild", "No sure flip was found, but the search was not for any. Use --goal severe."
        )
    tone = "mild" if campaign.found else "good"
    if campaign.original is None:
        said = "No sure flip was found. Accuracy is not known, since nobody labelled the images."
        return Judgement(tone, said)
    return Judgement(tone, "No sure flip was found. Nothing here speaks against shipping.")


def judge_corpus(records: Sequence[Record]) -> Judgement:
    """Judge a corpus of which no result says how it was searched.

    Args:
        records: its deviations, the most severe first.
    """
    if not records:
        return Judgement("none", "")
    sure = sum(one.sure for one in found_in(records).values())
    if sure:
        said = f"{sure} sure flip{'' if sure == 1 else 's'}"
        return Judgement("bad", f"{said}. Look at them; repair or gate before shipping.")
    return Judgement("mild", "No flip in it is sure; of how many seeds, only a result says.")


def sure_of(campaign: CampaignShown, records: Sequence[Record]) -> int:
    """Seeds with a flip of which both models are sure, as far as that is known: at least one."""
    if campaign.sure is not None:
        return campaign.sure
    stored = sum(one.sure for one in found_in(records).values())
    return max(1, min(stored, campaign.found))


def _lost(campaign: CampaignShown) -> str:
    """How far accuracy falls, in words, if that is more than chance has; else nothing.

    McNemar's test, with as many images on which only one model is right as the two can have.
    """
    before, after = campaign.original, campaign.deployed
    if before is None or after is None:
        return ""
    lost = before.count - after.count
    only = max(campaign.natural.count, lost)  # at most: images of which one model is right
    if lost <= 0 or mcnemar((only + lost) // 2, (only - lost) // 2) >= _CHANCE:
        return ""
    return f"from {percent(before.share)} to {percent(after.share)}"
