"""The verdict of a page in one sentence, and what stands below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compd.report.page.judgement import Judgement, judge_campaign, judge_corpus
from compd.report.page.place import Seen, campaign_for, corpus_sentence
from compd.report.page.shown import CampaignShown, GateShown, RepairShown, Result
from compd.report.page.words import percent
from compd.report.sentence import flip_words

__all__ = ["Headline", "headline_of"]

_GATE = {0: "Gate passed", 1: "Gate failed", 3: "Gate inconclusive", 130: "Gate interrupted"}
_TONES = {0: "good", 1: "bad"}
_MOST_FAILURES = 5
_ORDER = ("none", "good", "mild", "bad")


@dataclass(frozen=True)
class Headline:
    """The verdict."""

    tone: str  # "good", "mild", "bad"; or "none": nothing says that anything was searched
    sentences: tuple[str, ...]  # one; or one a corpus, of a search with several
    below: tuple[str, ...]


def headline_of(seen: Sequence[Seen], results: tuple[Result, ...]) -> Headline:
    """Judge by the last result; without one, say what the corpora hold."""
    last = results[-1] if results else None
    searched = [_judged(one, results, alone=len(seen) == 1) for one in seen]
    if isinstance(last, GateShown):
        return _of_gate(last, seen, _sentences(seen, results) if len(results) > 1 else ())
    if isinstance(last, RepairShown):
        return _of_repair(last, _sentences(seen, results))
    if not searched and isinstance(last, CampaignShown):
        searched = [(last.made, judge_campaign(last, ()), last.sentence)]
    tone = max((judged.tone for _, judged, _ in searched), key=_ORDER.index, default="none")
    told = tuple(
        dict.fromkeys(
            f"{made}: {judged.text[:1].lower()}{judged.text[1:]}" if made else said
            for made, judged, said in searched
        )
    )
    below = tuple(judged.text for made, judged, _ in searched if not made and judged.text)
    return Headline(tone, told, below)


_Judged = tuple[str, Judgement, str]  # what is judged (empty: no result says), how, its sentence


def _judged(one: Seen, results: tuple[Result, ...], *, alone: bool) -> _Judged:
    campaign = campaign_for(one.place, results, alone=alone)
    if campaign is None:
        return "", judge_corpus(one.records), corpus_sentence(one.place.corpus, list(one.records))
    return campaign.made, judge_campaign(campaign, one.records), campaign.sentence


def _sentences(seen: Sequence[Seen], results: tuple[Result, ...]) -> tuple[str, ...]:
    """What each corpus's search found, or what it holds."""
    return tuple(dict.fromkeys(_judged(one, results, alone=len(seen) == 1)[2] for one in seen))


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
