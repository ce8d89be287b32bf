"""What to type next, chosen by what was found: commands that run as they are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from compd.report.page.judgement import sure_of
from compd.report.page.place import Place, Seen, campaign_for
from compd.report.page.shown import CampaignShown, GateShown, RepairShown, Result
from compd.studies.run import StudyReport
from compd.text import one_line

__all__ = ["Step", "steps_of", "steps_of_study"]

_MORE = 4  # times the seeds of a search that found nothing
_WIDER = 2  # times its bound
_LAST = 254  # levels


@dataclass(frozen=True)
class Step:
    """A command, and what it is for."""

    why: str
    command: str


def steps_of(seen: Sequence[Seen], results: tuple[Result, ...]) -> tuple[Step, ...]:
    """Two or three commands for what matters most.

    Args:
        seen: corpora, the one that deviates most first.
        results: the last one decides.
    """
    last = results[-1] if results else None
    if isinstance(last, RepairShown):
        return _of_repair(last, seen)
    if not seen:
        return ()
    if isinstance(last, GateShown):
        return _of_gate(last, seen)
    first = max(seen, key=lambda one: one.records[0].severity if one.records else -1.0)
    campaign = campaign_for(first.place, results, alone=len(seen) == 1)
    if first.records:
        return _of_found(first, campaign)
    return () if campaign is None else _wider(first.place, campaign)


def steps_of_study(report: StudyReport, options: str) -> tuple[Step, ...]:
    """What a study leaves to be done: to store what parts, and to ask what was not asked.

    Args:
        report: of the study.
        options: words that name its pair on a command line; none where nobody knows them.
    """
    if not options:
        return ()
    steps = []
    shifts = report.results.get("shifts")
    made = [] if shifts is None else [one for one in shifts.sets if one.kind is not None]
    if any(one.disagreement.count for one in made):
        store = _command("fuzz", options=options, strategy="shift")
        steps.append(Step("Store images on which they part, for verify, repair and gate", store))
    if shifts is not None and "guard" not in {*report.results, *report.skipped}:
        steps.append(
            Step("Ask when the device may trust itself", _command("study guard", options=options))
        )
    return tuple(steps)


def _of_found(seen: Seen, campaign: CampaignShown | None) -> tuple[Step, ...]:
    place, worst = seen.place, seen.records[0]
    sure = campaign is None or sure_of(campaign, seen.records)
    steps = []
    if sure:
        look = _command("corpus show", worst.sha256[:12], corpus=_where(place))
        steps.append(Step("Look at the worst", look))
        if campaign is not None and not campaign.given:  # of files there is nothing to train
            mend = _command("repair", corpus=_where(place), options=place.options)
            steps.append(Step("Repair the model where it flips", mend))
    else:
        accept = _command(
            "baseline accept",
            all=True,
            reason="mild: of none are both models sure",
            corpus=_where(place),
            options=place.options,
        )
        steps.append(Step("Accept these flips, since none is sure", accept))
    gate = _command("gate", corpus=_where(place), options=place.options)
    until = "; it fails until they are repaired, or accepted" if sure else ""
    steps.append(Step(f"Hold every later build to this corpus{until}", gate))
    if not sure and campaign is not None:
        steps += _wider(place, campaign)
    return tuple(steps)


def _wider(place: Place, campaign: CampaignShown) -> tuple[Step, ...]:
    """The same search with more seeds, and a larger bound where it found nothing at all.

    None where no options name the pair: a search does not ask a corpus for its pair.
    """
    if not place.options:
        return ()
    eps, norm = campaign.eps, campaign.norm if campaign.norm in ("linf", "l2") else "linf"
    shifts = campaign.strategy == "shift"  # which no bound holds
    if eps is not None and not campaign.found:
        eps = min(_WIDER * eps, _LAST) if norm == "linf" else _WIDER * eps
    more = _command(
        "fuzz",
        options=place.options,
        seeds=_MORE * max(1, campaign.seeds),
        strategy="shift" if shifts else None,
        eps=("none" if eps is None else eps) if not shifts else None,
        norm=None if norm == "linf" else norm,
        corpus=_where(place),
    )
    found = "Search wider: more seeds" if campaign.found else "Nothing was found: search wider"
    return (Step(found, more),)


def _of_gate(gate: GateShown, seen: Sequence[Seen]) -> tuple[Step, ...]:
    own = seen[0].place
    steps = []
    new = [
        (one, record)
        for one in seen
        for record in one.records
        if record.sha256 in one.statuses and one.statuses[record.sha256].name == "new"
    ]
    if new:
        where, worst = max(new, key=lambda one: one[1].severity)
        name, found = worst.sha256[:12], _where(where.place)
        look = _command("corpus show", name, corpus=found)
        steps.append(Step("Look at the worst of what is new", look))
        accept = _command(
            "baseline accept",
            name,
            reason="…",
            options=own.options,
            **{"from": None if where.place is own else found},
            corpus=_where(own),
            baseline=_baseline(gate, own),
        )
        steps.append(Step("Accept it, with a reason in place of the dots", accept))
    elif gate.exit_code == 1 and seen[0].records:
        everything = _command(
            "baseline accept",
            all=True,
            reason="…",
            options=own.options,
            corpus=_where(own),
            baseline=_baseline(gate, own),
        )
        steps.append(Step("Accept this pair as it is, if you want that", everything))
    again = _command("gate", corpus=_where(own), baseline=_baseline(gate, own), options=own.options)
    steps.append(Step("Ask again, after the model was mended" if steps else "Ask again", again))
    return tuple(steps)


def _of_repair(repair: RepairShown, seen: Sequence[Seen]) -> tuple[Step, ...]:
    options = seen[0].place.options if seen else ""
    if not repair.best_round or not options:  # the caller names the repaired pair
        return ()
    steps = [Step("Search the repaired pair anew", _command("fuzz", options=options))]
    entries = _command("corpus verify", options=options, corpus=_where(seen[0].place))
    return (*steps, Step("Which of the entries it still gets otherwise", entries))


def _baseline(gate: GateShown, place: Place) -> str | None:
    own = str(place.corpus.directory / "baseline.txt")
    return None if gate.baseline in ("", own) else gate.baseline


def _where(place: Place) -> str:
    return one_line(str(place.corpus.directory))


def _command(name: str, *arguments: str, options: str = "", **given: object) -> str:
    """A command with every value quoted, since strangers' results have a part in it.

    Args:
        name: of the command.
        arguments: without a name.
        options: words of the caller's, as they are.
        given: further options by name; None is left out, True a flag.
    """
    words = ["compd", name, *map(shlex.quote, arguments)]
    words += [options] if options else []
    for key, value in given.items():
        if value is not None:
            words.append(f"--{key.replace('_', '-')}")
            words += [] if value is True else [shlex.quote(str(value))]
    return " ".join(words)
