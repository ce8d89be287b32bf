"""The verdict of a page in one sentence, and what stands below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compd.corpus import Record
from compd.report.page.place import Place, Status, campaign_for, corpus_sentence
from compd.report.page.shown import CampaignShown, GateShown, RepairShown, Result
from compd.report.page.words import percent
from compd.report.sentence import SURE, flip_words

__all__ = ["Headline", "Seen", "headline_of"]

_GATE = {0: "Gate passed", 1: "Gate failed", 3: "Gate inconclusive", 130: "Gate interrupted"}
_TONES = {0: "good", 1: "bad"}
_MOST_FAILURES = 5


@dataclass(frozen=True)
class Seen:
    """A corpus with what deviates in it."""

    place: Place
    records: Sequence[Record]  # the most severe first
    statuses: Mapping[str, Status]


@dataclass(frozen=True)
class Headline:
    """The verdict."""

    tone: str  # "good", "mild", "bad"; or "none": nothing says that anything was searched
    sentences: tuple[str, ...]  # one; or one a corpus, of a search with several
    below: tuple[str, ...]


def headline_of(seen: Sequence[Seen], results: tuple[Result, ...]) -> Headline:
    """Say what the last result found; without one, what the corpora hold."""
    last = results[-1] if results else None
    searched = _searched(seen, results)
    if isinstance(last, GateShown):
        return _of_gate(last, seen, searched if len(results) > 1 else ())
    if isinstance(last, RepairShown):
        return _of_repair(last, searched)
    severe = any(one.records and one.records[0].severity >= SURE for one in seen)
    severe |= isinstance(last, CampaignShown) and last.severe
    found = any(one.records for one in seen) or (isinstance(last, CampaignShown) and last.found)
    below = (_untouched(last),) if isinstance(last, CampaignShown) and len(seen) == 1 else ()
    tone = "bad" if severe else "mild" if found else "good" if results else "none"
    return Headline(tone, searched, below)


def _untouched(campaign: CampaignShown) -> str:
    """What nobody would notice of it on clean images."""
    differ = f"the two differ on {percent(campaign.natural.share)}"
    before, after = campaign.original, campaign.deployed
    if before is None or after is None:
        return f"On {campaign.natural.of} untouched images {differ}."
    return (
        f"On {campaign.natural.of} untouched images the original is right on "
        f"{percent(before.share)}, the deployed model on {percent(after.share)}, and {differ}."
    )


def _searched(seen: Sequence[Seen], results: tuple[Result, ...]) -> tuple[str, ...]:
    """What each corpus's search found, or what it holds."""
    found = []
    for one in seen:
        campaign = campaign_for(one.place, results, alone=len(seen) == 1)
        if campaign is None:
            found.append(corpus_sentence(one.place.corpus, list(one.records)))
        else:
            found.append(campaign.sentence)
    return tuple(dict.fromkeys(found))


def _of_gate(gate: GateShown, seen: Sequence[Seen], more: tuple[str, ...]) -> Headline:
    counts = ", ".join(f"{count} {name}" for name, count in gate.counts.items() if count)
    said = f"{_GATE.get(gate.exit_code, 'Gate')}: {_sum_of(gate)}."
    below = [f"{name}: {why}" for name, why in gate.failures.items()][:_MOST_FAILURES]
    new = [
        record
        for one in seen
        for record in one.records
        if record.sha256 in one.statuses and one.statuses[record.sha256].name == "new"
    ]
    if new:
        worst = max(new, key=lambda record: record.severity)
        below.insert(0, f"Worst of what is new: {flip_words(worst.original, worst.deployed)}.")
    below.append(f"Deviations: {counts}." if counts else "No deviations.")
    tone = _TONES.get(gate.exit_code, "mild")
    return Headline(tone, (said,), (*below, *more))


def _sum_of(gate: GateShown) -> str:
    if gate.exit_code != 1:
        return {0: "nothing new deviates"}.get(gate.exit_code, gate.verdict)
    new = gate.counts.get("new", 0)
    parts = [f"{new} new deviation{'' if new == 1 else 's'}"] if new else []
    limits = len(gate.failures)
    if "search-record" in gate.failures:
        parts.append("the pair is worse than the accepted one")
        limits -= 1
    if limits:
        parts.append(f"{limits} limit{' does' if limits == 1 else 's do'} not hold")
    return ", ".join(parts) or gate.verdict


def _of_repair(repair: RepairShown, more: tuple[str, ...]) -> Headline:
    accuracy = f"accuracy {percent(repair.accuracy[1].share)} → {percent(repair.accuracy[2].share)}"
    if not repair.best_round:
        said = "Repair handed the start back: no round was better."
        return Headline("mild", (said,), more)
    if not repair.fresh:
        return Headline("mild", (f"Repaired: {accuracy}.",), more)
    worst = repair.fresh[0]
    said = (
        f"Repaired: {worst.before.count} → {worst.after.count} of {worst.before.of} held-out "
        f"images flip; {accuracy}."
    )
    better = worst.after.high < worst.before.low  # beyond chance, whatever the pairing
    severe = [
        f"{100 * a:.0f} → {100 * b:.0f} % at severity {level}" for level, a, b in worst.severe
    ]
    below = [f"Of all images, {', '.join(severe)} or more."] if severe else []
    return Headline("good" if better else "mild", (said,), (*below, *more))
