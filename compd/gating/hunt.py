"""A long search that grows a corpus by what is new to it, each as small as it gets.

For a nightly job: one campaign after another, each with the next random seed, until the time is up.
What a campaign finds goes to a folder of its own first, so that an interrupted hunt loses nothing:
the next one goes on there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from compd.control import QUIET, Control, Outcome
from compd.corpus import Corpus, MinimiseSettings, Record, collect, minimise
from compd.data import Split
from compd.errors import SettingError
from compd.files.storage import disk_errors, locked_folder, write_atomic
from compd.pair import Pair
from compd.search import (
    Campaign,
    SearchSettings,
    Stability,
    StabilityCheck,
    Summary,
    Verdict,
)

__all__ = ["Hunted", "hunt"]

_IGNORE = ".gitignore"
_FOUND, _NOVEL, _SMALL, _NEXT = "found", "novel", "small", "next-random-seed"
_SEARCH = 0.75  # share of the time left that a campaign may take; the rest makes its finds smaller


@dataclass(frozen=True)
class Hunted:
    """What a hunt did."""

    rounds: int
    seeds: int  # searched from, in all rounds
    found: int  # deviations proved, and what an interrupted hunt had left
    novel: int  # of these, new to the corpus
    smaller: int  # of these, stored with a smaller change
    stored: int
    entries: int  # of the corpus, now
    first_seed: int  # random seed of the first round
    next_seed: int  # to go on with
    seconds: float
    stopped: str  # "time", "rounds" or "interrupted"


def hunt(
    pair: Pair,
    seeds: Split,
    corpus: Corpus,
    settings: Sequence[SearchSettings],
    *,
    seconds: float | None = None,
    rounds: int | None = None,
    random_seed: int | None = None,
    min_severity: float = 0.0,
    minimising: MinimiseSettings | None = None,
    control: Control = QUIET,
) -> Hunted:
    """Search again and again, and store what is new, made smaller.

    A deviation is new if it is of ``min_severity`` and the corpus has none of its seed and flip
    that is. It is stored as its minimised form, unless that is below ``min_severity``: then as it
    was found.

    Args:
        pair: what to search.
        seeds: clean images to start from.
        corpus: what grows.
        settings: of the campaigns, in turn; their random seed and time are set here.
        seconds: budget; None: no limit.
        rounds: campaigns at most; None: no limit.
        random_seed: of the first campaign; None: one that no hunt on this corpus has had yet.
        min_severity: the gate's.
        minimising: how hard to make entries smaller.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if there is neither a budget of time nor of rounds, or no settings.
    """
    if not settings or (seconds is None and rounds is None):
        raise SettingError("expected settings, and a budget of time or rounds, got none")
    corpus.add([])  # raises if it cannot be written: now, and not after the search
    intake = _Intake(pair, corpus, min_severity, minimising or MinimiseSettings(), control)
    with intake.alone():
        begun = time.perf_counter()
        first = number = intake.next_seed() if random_seed is None else random_seed
        done = searched = found = 0
        for left_over in intake.left_over():
            found += intake.absorb(left_over)
        outcome = Outcome.ROUNDS
        while rounds is None or done < rounds:
            left = None if seconds is None else seconds - (time.perf_counter() - begun)
            if control.stopped or (left is not None and left <= 0):
                outcome = Outcome.TIME
                break
            one = replace(
                settings[done % len(settings)],
                random_seed=number % 2**63,
                seconds=None if left is None else max(left * _SEARCH, 1e-3),
            )
            summary = intake.campaign(seeds, one, number)
            searched += summary.seeds
            found += summary.images_effective
            done += 1
            number += 1
            intake.remember(number)
        if not control.stopped:
            intake.corpus.make()  # for the gate, also if nothing was found
        return Hunted(
            rounds=done,
            seeds=searched,
            found=found,
            novel=intake.novel,
            smaller=intake.smaller,
            stored=intake.stored,
            entries=len(intake.corpus),
            first_seed=first,
            next_seed=number,
            seconds=time.perf_counter() - begun,
            stopped=str(Outcome.INTERRUPTED if control.stopped else outcome),
        )


class _Intake:
    """Takes what campaigns found into the corpus."""

    def __init__(
        self,
        pair: Pair,
        corpus: Corpus,
        min_severity: float,
        minimising: MinimiseSettings,
        control: Control,
    ) -> None:
        self._pair, self.corpus, self._minimising = pair, corpus, minimising
        self._min_severity, self._control = min_severity, control
        where = corpus.directory
        self._home = where.with_name(f"{where.name}-hunt")
        self.novel = self.smaller = self.stored = 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Work in the folder beside the corpus, which git does not look at."""
        with disk_errors(self._home):
            self._home.mkdir(parents=True, exist_ok=True)
            write_atomic(self._home / _IGNORE, b"*\n", sync=False)
        with locked_folder(self._home, wait=False, what="hunts there"):
            try:
                yield
            finally:
                self._tidy()

    def _tidy(self) -> None:
        """Remove the folder if a hunt that failed left nothing in it."""
        with suppress(OSError):
            if {path.name for path in self._home.iterdir()} == {_IGNORE}:
                (self._home / _IGNORE).unlink()
                self._home.rmdir()

    def next_seed(self) -> int:
        """A random seed above all that hunts on this corpus have had."""
        try:
            told = int((self._home / _NEXT).read_text())
        except (OSError, ValueError):
            told = 0
        return max([told, *(record.random_seed + 1 for record in self.corpus)]) % 2**63

    def remember(self, number: int) -> None:
        """Note the next random seed."""
        with disk_errors(self._home):
            write_atomic(self._home / _NEXT, f"{number}\n".encode(), sync=False)

    def place(self, number: int) -> Path:
        """Where a campaign's findings go until they are absorbed."""
        return self._home / f"{self._pair.hashes['deployed'][:6]}-{number}"

    def left_over(self) -> Iterator[Path]:
        """What an interrupted hunt on this pair left."""
        found = self._home.glob(f"{self._pair.hashes['deployed'][:6]}-*/{_FOUND}/metadata.jsonl")
        for path in sorted(found):
            yield path.parents[1]

    def campaign(self, seeds: Split, settings: SearchSettings, number: int) -> Summary:
        """Search once, and take in what was found."""
        place = self.place(number)
        raw = Corpus(place / _FOUND, create=True)
        campaign = Campaign(self._pair, seeds, settings, control=self._control)
        for _ in collect(campaign, raw, stability=StabilityCheck(self._pair, self._control)):
            pass
        self.absorb(place)
        return campaign.summary()

    def absorb(self, place: Path) -> int:
        """Store what is new in a campaign's findings; nothing if it is interrupted meanwhile.

        Returns:
            How many deviations it had found.
        """
        raw = Corpus(place / _FOUND, create=True)  # interrupted early, it has not been made
        chosen = self._new(raw)
        novel, small = (Corpus(place / name, create=True) for name in (_NOVEL, _SMALL))
        novel.add((one, raw.image(one), raw.seed_image(one)) for one in chosen)
        minimise(novel, small, self._pair, **asdict(self._minimising), control=self._control)
        found = sum(record.verdict is Verdict.EFFECTIVE for record in raw)
        if self._control.stopped:
            return found
        made = {one.minimised.source: one for one in small if one.minimised is not None}
        ready = []
        for one in chosen:
            best, home = made.get(one.sha256, one), small
            if best is one or not self._counts(best):
                best, home = one, novel
            self.smaller += best is not one
            ready.append((best, home.image(best), home.seed_image(best)))
        self.novel += len(chosen)
        self.stored += self.corpus.add(ready)
        with disk_errors(place):
            if place.exists():
                shutil.rmtree(place)
        return found

    def _new(self, raw: Corpus) -> list[Record]:
        """The most severe of each seed and flip that is new to the corpus."""
        known = {_key(record) for record in self.corpus if self._counts(record)}
        best: dict[tuple[str, int], Record] = {}
        for record in sorted(raw, key=lambda record: (-record.severity, record.sha256)):
            if self._counts(record) and record.stability is not Stability.FLAKY:
                best.setdefault(_key(record), record)
        return [record for key, record in best.items() if key not in known]

    def _counts(self, record: Record) -> bool:
        return record.verdict is Verdict.EFFECTIVE and record.severity >= self._min_severity


def _key(record: Record) -> tuple[str, int]:
    return record.seed_sha256, record.deployed.label
