"""The cards of a gallery: what is known of a deviation, its picture, and how to replay it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compd.corpus import Record
from compd.corpus.records import image_file
from compd.errors import CompdError
from compd.report.page.pictures import Picture, picture_of
from compd.report.page.place import Place, Status
from compd.report.sentence import name_words, severity_words, shift_of
from compd.search.findings import Answer
from compd.text import one_line

__all__ = ["BLOCKING", "Budget", "Card", "Guess", "cards_of", "chosen"]

_TOP = 3  # classes of an answer
BLOCKING = ("new", "unconfirmed", "flaky")
_LETTERS = 200  # of a reason


@dataclass
class Budget:
    """What the pictures of a page may still take; lowered as they are drawn."""

    pictures: int
    room: int  # bytes of their files, packed for a page: four for each three
    files: dict[str, bytes] | None = None  # name -> content, where they lie beside the page

    def part(self, of: int) -> Budget:
        """A share of what is left, for one of several corpora; taken from this one at once."""
        part = Budget(self.pictures // of, self.room // of, self.files)
        self.pictures -= part.pictures
        self.room -= part.room
        return part

    def take(self, picture: Picture, name: str) -> str | None:
        """The address of a picture; None if there is no room left."""
        size = len(picture.data) if self.files is not None else -(-len(picture.data) // 3) * 4
        if self.pictures < 1 or size > self.room:
            return None
        self.pictures -= 1
        self.room -= size
        if self.files is not None:
            file = f"{name}.{picture.kind}"
            self.files[file] = picture.data
            return file
        data = base64.b64encode(picture.data).decode()
        return f"data:image/{picture.kind};base64,{data}"


@dataclass(frozen=True)
class Guess:
    """A class of an answer with its probability."""

    name: str
    p: float


@dataclass(frozen=True)
class Card:
    """A deviation in a gallery; what is shown of figures is rounded, and filters go by that."""

    hash: str  # its first twelve digits
    number: int  # in the order of what matters, from 0
    original: str
    deployed: str
    source: int  # numbers of both classes in the matrix
    target: int
    severity: float
    sure: str  # in words
    shift: str  # what was done to the seed, where that has a name; else empty
    linf: int
    l2: float
    seed: str  # data and row
    truth: str  # and who is right
    stability: str
    status: Status | None
    answers: tuple[tuple[str, tuple[Guess, ...]], ...]
    replay: str  # command
    address: str  # of the picture; empty if there is none
    problem: str  # why not
    picture: Picture | None


def chosen(records: Sequence[Record], statuses: Mapping[str, Status], most: int) -> list[Record]:
    """Which deviations a gallery shows: what blocks a gate, the worst of each flip, the worst.

    Args:
        records: the most severe first.
        statuses: by hash.
        most: how many.

    Returns:
        What blocks first, then the most severe.
    """
    flips: set[tuple[str, str]] = set()
    blocking, first, rest = [], [], []
    for record in records:
        status = statuses.get(record.sha256)
        flip = record.original.name, record.deployed.name
        if status is not None and status.name in BLOCKING:
            blocking.append(record)
        elif flip not in flips:
            first.append(record)
        else:
            rest.append(record)
        flips.add(flip)
    half = most // 2
    order = [*blocking, *first[:half], *rest, *first[half:]]
    kept = {record.sha256 for record in order[:most]}
    waiting = {record.sha256 for record in blocking}
    shown = [record for record in records if record.sha256 in kept]
    return sorted(shown, key=lambda record: record.sha256 not in waiting)


def cards_of(
    place: Place,
    records: Iterable[Record],
    statuses: Mapping[str, Status],
    *,
    names: Mapping[str, int],
    classes: Sequence[str],
    budget: Budget,
) -> list[Card]:
    """Make cards until the budget is spent.

    Args:
        place: the corpus.
        records: of it, in the order of what matters.
        statuses: by hash.
        names: the number of each class in the matrix.
        classes: what labels stand for; empty where that is not known.
        budget: of the page, which is lowered.
    """
    cards = []
    for number, record in enumerate(records):
        address, problem, picture = "", "", None
        try:
            picture = picture_of(place.corpus, record)
        except CompdError as error:
            problem = f"{error.message:.{_LETTERS}}"
        if picture is not None:
            taken = budget.take(picture, record.sha256)
            if taken is None:
                break
            address = taken
        elif budget.pictures < 1:
            break
        else:
            budget.pictures -= 1
        cards.append(
            Card(
                hash=record.sha256[:12],
                number=number,
                original=name_words(record.original.name),
                deployed=name_words(record.deployed.name),
                source=names[record.original.name],
                target=names[record.deployed.name],
                severity=record.severity,
                sure=severity_words((record.original, record.deployed)),
                shift=shift_of(record.strategy),
                linf=record.linf,
                l2=record.l2,
                seed=f"{name_words(record.seed_data)} {name_words(record.seed_row)}",
                truth=_truth(record, classes),
                stability=str(record.stability or "not replayed"),
                status=_short(statuses.get(record.sha256)),
                answers=(
                    ("original", _guesses(record.original)),
                    ("deployed", _guesses(record.deployed)),
                ),
                replay=_replay(place, record),
                address=address,
                problem=problem,
                picture=picture,
            )
        )
    return cards


def _short(status: Status | None) -> Status | None:
    if status is None:
        return None
    return Status(name_words(status.name), one_line(status.why)[:_LETTERS])


def _guesses(answer: Answer) -> tuple[Guess, ...]:
    return tuple(Guess(name_words(name), p) for name, p in answer.top[:_TOP])


def _truth(record: Record, classes: Sequence[str]) -> str:
    """The seed's label, and which model is right of it."""
    label = record.true_label
    if label is None:
        return "not labelled"
    known = {
        record.original.label: record.original.name,
        record.deployed.label: record.deployed.name,
    }
    name = known.get(label) or (classes[label] if label < len(classes) else f"class {label}")
    if label == record.original.label:
        who = "only the original is right"
    elif label == record.deployed.label:
        who = "only the deployed model is right"
    else:
        who = "both are wrong"
    return f"{name_words(name)}: {who}"


def _replay(place: Place, record: Record) -> str:
    file = place.corpus.directory / image_file(record.sha256)
    return f"compd replay {shlex.quote(one_line(str(file)))} {place.options}".rstrip()
