"""A corpus's part of a page: its pair, its numbers, its gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from compd.corpus import Record
from compd.pair.evaluation import Evaluation
from compd.report.page.charts import bars, curve
from compd.report.page.classes import ByClass, classes_of
from compd.report.page.flips import Matrix, histogram, length_of, matrix_of, success_of
from compd.report.page.gallery import Budget, Card, cards_of, chosen
from compd.report.page.place import Seen, bound_of
from compd.report.page.shown import CampaignShown
from compd.report.page.suffering import Suffering, suffering_of
from compd.report.page.words import interval, of_images
from compd.report.sentence import bound_words, made_words, name_words
from compd.statistics import Share
from compd.text import one_line

__all__ = ["Section", "facts_of", "few_classes", "section_of"]

_LETTERS = 300
_FEW = 20  # classes
_PLAIN = ("qat", "ptq", "prune")  # folders that say no more than the model's name does


@dataclass(frozen=True)
class Section:
    """All that a page shows of a corpus."""

    key: str  # of its anchors: "c1"
    title: str
    facts: tuple[tuple[str, str], ...]
    suffering: Suffering
    by_class: ByClass | None  # on clean images
    matrix: Matrix
    charts: tuple[tuple[str, Markup, str], ...]  # title, picture, note
    cards: tuple[Card, ...]
    firsts: Mapping[tuple[int, int], int]  # flip -> the number of its first card
    deviations: int
    others: int  # entries that do not deviate
    statuses: tuple[str, ...]  # that occur
    stabilities: tuple[str, ...]
    picture_kinds: bool  # whether a picture was made smaller
    eps: str


def section_of(
    number: int,
    seen: Seen,
    campaign: CampaignShown | None,
    facts: tuple[tuple[str, str], ...],
    *,
    classes: Sequence[str],
    few: Sequence[str],
    most: int,
    budget: Budget,
) -> Section:
    """Put a corpus's part together.

    Args:
        number: of the part, from 1.
        seen: the corpus.
        campaign: its search, if its result is there.
        facts: names and values of the first table.
        classes: what labels stand for, where the caller knows.
        few: names of all classes that the page has, where they are few.
        most: cards.
        budget: of the page, which is lowered.
    """
    records = seen.records
    matrix = matrix_of(records, few)
    cards = cards_of(
        seen.place,
        chosen(records, seen.statuses, most),
        seen.statuses,
        names=matrix.names,
        classes=classes or _classes_in(records),
        budget=budget,
    )
    firsts: dict[tuple[int, int], int] = {}
    for card in cards:
        firsts.setdefault((card.source, card.target), card.number)
    shown = dict.fromkeys(card.status.name for card in cards if card.status is not None)
    made = _made(seen, campaign)
    where = name_words(seen.place.corpus.directory.name)
    return Section(
        key=f"c{number}",
        title=f"{made}, in {where}" if made and where not in _PLAIN else made or where,
        facts=facts,
        suffering=suffering_of(campaign, records),
        by_class=None
        if seen.place.clean is None or not classes
        else classes_of(seen.place.clean, classes),
        matrix=matrix,
        charts=_charts(records, campaign),
        cards=tuple(cards),
        firsts=firsts,
        deviations=len(records),
        others=len(seen.place.corpus) - len(records),
        statuses=tuple(shown),
        stabilities=tuple(sorted({card.stability for card in cards})),
        picture_kinds=any(card.picture is not None and not card.picture.exact for card in cards),
        eps=_bound(records, campaign),
    )


def few_classes(classes: Sequence[str], records: Sequence[Record]) -> tuple[str, ...]:
    """All classes of a page, if they are few enough for a row and a column each; else none.

    Args:
        classes: what labels stand for; empty where that is not known.
        records: of all corpora.
    """
    names = {*(classes or _classes_in(records))}
    for record in records:
        names |= {record.original.name, record.deployed.name}
        if len(names) > _FEW:
            return ()
    return tuple(names)


def facts_of(seen: Seen, campaign: CampaignShown | None) -> tuple[tuple[str, str], ...]:
    """What the pair is, and what was done with it."""
    records = seen.records
    rows = _searched(campaign) if campaign is not None else _stored(records)
    if campaign is None and seen.place.clean is not None:
        rows[1:1] = _clean(seen.place.clean)
    severities = [record.severity for record in records]
    if severities:
        said = f"median {median(severities):.2f}, highest {max(severities):.2f}"
        rows.append(("severity", said))
        far = max(record.linf for record in records)
        mean = sum(record.l2 for record in records) / len(records)
        rows.append(("distance", f"Linf at most {far}/255, L2 per pixel {mean:.4f} on average"))
        kinds = Counter(str(record.stability or "not replayed") for record in records)
        rows.append(("replayed", ", ".join(f"{n} {name}" for name, n in kinds.most_common())))
    size = len(seen.place.corpus)
    where = one_line(str(seen.place.corpus.directory))[:_LETTERS]
    rows.append(("corpus", f"{where}: {size} entries, {len(records)} of them deviate"))
    return tuple(rows)


def _searched(campaign: CampaignShown) -> list[tuple[str, str]]:
    rows = [("pair", campaign.pair), ("compressed model", campaign.full)]
    test = campaign.rows.get("test", "")
    on = f"of {campaign.natural.of} clean images" + (f" (rows {test})" if test else "")
    if campaign.original is not None:
        rows.append(
            (
                "accuracy, with 95 % intervals",
                f"original {interval(campaign.original)}, deployed {interval(campaign.deployed)} "
                f"{on}",
            )
        )
    ties = f", {campaign.ties} of these are exact ties" if campaign.ties else ""
    aside = f"; {campaign.set_aside} seeds set aside" if campaign.set_aside else ""
    if campaign.wrong:
        aside += f"; {campaign.wrong} seeds set aside that the original gets wrong"
    rows.append(
        ("natural disagreement", f"{of_images(campaign.natural)} differ untouched{ties}{aside}")
    )
    rows.append(("search", campaign.search))
    if campaign.chosen:
        rows.append(("seeds", campaign.chosen))
    found = Share.count_of(campaign.found, campaign.seeds)
    rows.append(("seeds with a deviation", of_images(found)))
    if campaign.stopped != "done":
        why = {"time": "the time was up"}.get(campaign.stopped, campaign.stopped)
        rows.append(("stopped", why))
    rows += [("note", note) for note in campaign.notes]
    return rows


def _stored(records: Sequence[Record]) -> list[tuple[str, str]]:
    """What entries say of their pair and search, where there is no result."""
    if not records:
        return []
    pairs = sorted({_pair_of(record) for record in records})
    searches = Counter(
        f"{name_words(record.strategy.get('name', '?'))}, {bound_of(record)}" for record in records
    )
    seeds = len({record.seed_sha256 for record in records})
    return [
        ("pair", "; ".join(pairs[:3]) + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")),
        ("search", "; ".join(f"{said} ({n})" for said, n in searches.most_common(4))),
        ("seeds with a deviation", f"{seeds} (of how many searched, its result says: --json)"),
    ]


def _clean(seen: Evaluation) -> list[tuple[str, str]]:
    """What an evaluation says, as facts."""
    images = len(seen)
    rows = []
    before, after = seen.accuracy(seen.original), seen.accuracy(seen.deployed)
    if before is not None and after is not None:
        shares = [Share.count_of(round(value * images), images) for value in (before, after)]
        said = f"original {interval(shares[0])}, deployed {interval(shares[1])}"
        rows.append(
            (
                "accuracy, with 95 % intervals",
                f"{said} of {images} clean images (rows {seen.split.rows})",
            )
        )
    differ = Share.count_of(int(seen.disagree.sum()), images)
    rows.append(("natural disagreement", f"{of_images(differ)} differ untouched"))
    return rows


def _pair_of(record: Record) -> str:
    model, compress = record.pair.get("model"), record.pair.get("compress")
    name = model.get("model", "") if isinstance(model, Mapping) else ""
    made = made_words(compress) if isinstance(compress, Mapping) else "deployed"
    engine = record.pair.get("engine", record.fingerprint.get("engine", "?"))
    first = f"{name_words(name)}, " if name else ""
    return f"{first}{made} on {name_words(record.seed_data)}, {name_words(engine)}"


def _made(seen: Seen, campaign: CampaignShown | None) -> str:
    if campaign is not None:
        return campaign.made
    made = {id(record.pair): record.pair.get("compress") for record in seen.records}
    words = {made_words(one) for one in made.values() if isinstance(one, Mapping)}
    return words.pop() if len(words) == 1 else ""


def _classes_in(records: Sequence[Record]) -> tuple[str, ...]:
    """The classes that the entries' pair names; none if they do not agree."""
    for record in records[:1]:
        model = record.pair.get("model")
        classes = model.get("classes") if isinstance(model, Mapping) else None
        if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
            return tuple(classes)
    return ()


def _bound(records: Sequence[Record], campaign: CampaignShown | None) -> str:
    if campaign is not None:
        return bound_words(campaign.eps, campaign.norm, campaign.strategy)
    bounds = {bound_of(record) for record in records}
    return bounds.pop() if len(bounds) == 1 else ""


def _charts(
    records: Sequence[Record], campaign: CampaignShown | None
) -> tuple[tuple[str, Markup, str], ...]:
    if not records:
        return ()
    norms = Counter(record.norm for record in records)
    norm = campaign.norm if campaign is not None else norms.most_common(1)[0][0]
    norm = norm if norm in ("linf", "l2") else "linf"
    far = [float(r.linf) if norm == "linf" else length_of(r) for r in records]
    eps = campaign.eps if campaign is not None else max((r.eps or 0 for r in records), default=0)
    last = float(min(eps, 255)) if eps and norm == "linf" else max(far)
    last = max([last, *far]) or 1.0
    axis = "Linf, levels of 255" if norm == "linf" else "L2 per pixel, levels of 255"
    success = success_of(
        records,
        norm,
        searched=None if campaign is None else campaign.seeds,
        found=None if campaign is None else campaign.found,
    )
    note = ""
    if any(record.strategy.get("goal") == "severe" for record in records):
        note = "The search was for severe deviations: milder ones may be nearer."
    whole = norm == "linf" and last <= 20
    return (
        (
            "Severity",
            bars(histogram([r.severity for r in records], 1.0), what="severity", unit=""),
            "The smaller of both models' margins: near 1, both are sure and disagree.",
        ),
        (
            "Distance from the seed",
            bars(histogram(far, last, int(last) if whole else 20), what=axis, unit=""),
            "",
        ),
        (
            "Seeds found within a bound",
            curve(success, last=last, what=axis),
            note or ("" if success.searched else "Of the seeds with a deviation in the corpus."),
        ),
    )
