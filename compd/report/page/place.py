"""A corpus with what a page has to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compd.corpus import Corpus, Record
from compd.pair.evaluation import Evaluation
from compd.report.page.shown import CampaignShown, GateShown, Result
from compd.report.sentence import bound_words, bounded, flip_words, made_words, shift_of, worst_of
from compd.search.judge import Verdict

__all__ = ["Place", "Seen", "Status", "campaign_for", "corpus_sentence", "deviating", "statuses_of"]


@dataclass(frozen=True)
class Place:
    """A corpus, and how a command line names its pair."""

    corpus: Corpus
    options: str = ""  # behind ``compd replay FILE``; empty where the corpus names its pair
    accepted: Mapping[str, str] | None = None  # hash -> reason; None: there is no baseline
    clean: Evaluation | None = None  # its pair on clean images


@dataclass(frozen=True)
class Status:
    """What a team or a gate says of a deviation."""

    name: str
    why: str


@dataclass(frozen=True)
class Seen:
    """A corpus with what deviates in it."""

    place: Place
    records: Sequence[Record]  # the most severe first
    statuses: Mapping[str, Status]


def deviating(corpus: Corpus) -> list[Record]:
    """The deviations of a corpus, the most severe first."""
    return [one for one in corpus.by_severity() if one.verdict is Verdict.EFFECTIVE]


def statuses_of(
    place: Place, records: list[Record], gates: list[GateShown]
) -> Mapping[str, Status]:
    """Each deviation's status by its hash: the last gate's, or else the baseline's.

    Where neither says anything of a corpus, there are none.
    """
    known = gates[-1].statuses if gates else {}
    found: dict[str, Status] = {}
    for record in records:
        if record.sha256 in known:
            found[record.sha256] = Status(*known[record.sha256])
        elif place.accepted is not None:
            reason = place.accepted.get(record.sha256)
            new = Status("new", "not in the baseline")
            found[record.sha256] = new if reason is None else Status("accepted", reason)
    return found


def campaign_for(place: Place, results: tuple[Result, ...], *, alone: bool) -> CampaignShown | None:
    """The last search that filled a corpus; None if no result is of one.

    Args:
        place: the corpus.
        results: all that a page has.
        alone: whether the page shows no other corpus; then each search of a model that it has
            entries of is taken for its own: it may have been moved.
    """
    searches = [one for one in results if isinstance(one, CampaignShown)]
    here = place.corpus.directory.resolve()
    own = [one for one in searches if one.corpus and Path(one.corpus).resolve() == here]
    if own:
        return own[-1]
    if not searches or not alone:
        return None
    last, made_with = searches[-1], _deployed(place.corpus)
    deployed = last.fingerprint.get("deployed_sha256")
    other = deployed is not None and made_with and deployed not in made_with
    return None if other else last


def _deployed(corpus: Corpus) -> set[str]:
    """The deployed models that entries were found with."""
    prints = {id(record.fingerprint): record.fingerprint for record in corpus}  # shared by most
    return {str(one["deployed_sha256"]) for one in prints.values() if "deployed_sha256" in one}


def bound_of(record: Record) -> str:
    """What an entry's search was bounded by, in words."""
    return bound_words(record.eps, record.norm, record.strategy.get("name"))


def corpus_sentence(corpus: Corpus, records: list[Record]) -> str:
    """What a corpus holds, in one sentence, where no result says what was searched.

    Args:
        corpus: the corpus.
        records: its deviations.
    """
    worst = worst_of(records)
    if worst is None:
        said = "the corpus is empty" if not len(corpus) else "nothing in the corpus deviates"
        return f"Nothing found: {said}."
    compress = worst.pair.get("compress")
    made = made_words(compress if isinstance(compress, Mapping) else {})
    seeds = len({record.seed_sha256 for record in records})
    bounds = {bound_of(record) for record in records}
    within = bounded(bounds.pop() if len(bounds) == 1 else "within several bounds")
    shift = shift_of(worst.strategy)
    by = f" ({shift})" if shift else ""
    images = f"{seeds} image{'' if seeds == 1 else 's'} {'flips' if seeds == 1 else 'flip'}"
    return f"{made}: {images}{within}; worst: {flip_words(worst.original, worst.deployed)}{by}."
