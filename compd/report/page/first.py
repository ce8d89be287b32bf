"""The finding that a page begins with: the worst, its picture and its command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compd.report.page.gallery import BLOCKING, Card
from compd.report.page.place import Seen
from compd.report.page.sections import Section
from compd.text import one_line

__all__ = ["First", "first_of"]

_LETTERS = 300


@dataclass(frozen=True)
class First:
    """The worst finding."""

    card: Card
    anchor: str  # of its card in the gallery
    made: str  # title of its section
    corpus: str  # folder


def first_of(seen: Sequence[Seen], sections: Sequence[Section]) -> First | None:
    """What blocks a gate, and else the most severe; None if nothing is shown."""
    cards = [
        (card, section, one)
        for one, section in zip(seen, sections, strict=True)
        for card in section.cards
    ]
    if not cards:
        return None
    card, section, one = max(cards, key=lambda found: (_blocks(found[0]), found[0].severity))
    corpus = one_line(str(one.place.corpus.directory))[:_LETTERS]
    return First(card, f"{section.key}-{card.number}", section.title, corpus)


def _blocks(card: Card) -> bool:
    return card.status is not None and card.status.name in BLOCKING
