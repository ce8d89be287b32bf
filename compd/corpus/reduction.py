"""A corpus made smaller: each entry's change, and the number of entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compd.control import QUIET, Control
from compd.corpus.minimise import Minimisation, MinimiseSettings, minimise
from compd.corpus.rows import RowsUsed, rows_used
from compd.corpus.stats import Cut, stats
from compd.corpus.store import Corpus
from compd.corpus.subset import KEEP, Subset, select_subset
from compd.errors import SettingError, unknown
from compd.pair import Pair
from compd.wording import setting

__all__ = ["Reduction", "check_keep", "reduce"]


@dataclass(frozen=True)
class Reduction:
    """What became of a corpus."""

    corpus: str
    entries: int
    rows: tuple[RowsUsed, ...]
    settings: MinimiseSettings
    done: Minimisation
    out: str | None  # where smaller entries are; None if they stay as they are
    cut: Cut | None  # of all entries there
    subset_in: str | None  # where the chosen entries are; None if none were chosen
    keep: str  # what the chosen ones stand for
    chosen: Subset | None

    @property
    def left_out(self) -> Mapping[str, str]:
        """Entries that could not be made smaller, or compared: hash -> why."""
        more = {} if self.chosen is None else dict(self.chosen.left_out)
        return self.done.left_out | more

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        content: dict[str, Any] = {
            "corpus": self.corpus,
            "entries": self.entries,
            "rows": [asdict(part) for part in self.rows],
            "left_out": dict(self.left_out),
        }
        if self.out is not None:
            content |= {"out": self.out, "minimised": self.cut and asdict(self.cut)}
            done = asdict(self.done)
            content |= {key: value for key, value in done.items() if key != "left_out"}
            content["effort"] = asdict(self.settings)
        if self.chosen is not None:
            content["subset"] = {
                "corpus": self.subset_in,
                "keep": self.keep,
                "entries": dict(self.chosen.stands_for),
                "kinds": [{**asdict(kind), "entries": n} for kind, n in self.chosen.kinds.items()],
            }
        return content


def check_keep(keep: str | None, subset: Path | None) -> str:
    """What a subset is to keep, or the default.

    Raises:
        SettingError: if it is unknown, or there is no subset.
    """
    if keep not in (None, *KEEP):
        raise unknown("keep", str(keep), KEEP)
    if keep is not None and subset is None:
        raise SettingError(
            f"expected {setting('keep')} with {setting('subset', 'DIR')}, got keep={keep!r} alone"
        )
    return keep or KEEP[0]


def reduce(
    corpus: Corpus,
    pair: Pair,
    *,
    out: Path | None = None,
    subset: Path | None = None,
    keep: str = KEEP[0],
    settings: MinimiseSettings | None = None,
    control: Control = QUIET,
) -> Reduction:
    """Make entries smaller, choose those that suffice, or both.

    Args:
        corpus: only read.
        pair: the models that judge.
        out: corpus for the smaller entries; a run that was cut off goes on there.
        subset: new corpus for the entries that suffice, of the smaller ones if there are any.
        keep: what these stand for.
        settings: how hard to make entries smaller.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if a folder holds other entries, or the pair is another one.
    """
    settings = settings or MinimiseSettings()
    target = None if out is None else Corpus(out, create=True)
    fewer = None if subset is None else _corpus_of_its_own(subset, corpus, target)
    done, chosen = Minimisation(), None
    if target is not None:
        done = minimise(corpus, target, pair, **asdict(settings), control=control)
    if fewer is not None and not control.stopped:
        whole = corpus if target is None else target
        chosen = select_subset(whole, pair, keep=keep, control=control)
        _fill(fewer, whole, chosen)
    return Reduction(
        corpus=str(corpus.directory),
        entries=len(corpus),
        rows=rows_used(corpus),
        settings=settings,
        done=done,
        out=None if target is None else str(target.directory),
        cut=None if target is None else stats(target).cut,
        subset_in=None if fewer is None else str(fewer.directory),
        keep=keep,
        chosen=chosen,
    )


def _corpus_of_its_own(where: Path, corpus: Corpus, target: Corpus | None) -> Corpus:
    """The corpus for a subset, before the work starts."""
    taken = {one.directory.resolve() for one in (corpus, target) if one is not None}
    if where.resolve() in taken:
        raise SettingError("a folder of its own for the subset", subset=str(where))
    return Corpus(where, create=True)


def _fill(fewer: Corpus, whole: Corpus, chosen: Subset) -> None:
    """Store the chosen entries; a subset that was written before has to be the same one."""
    wanted = {record.sha256 for record in chosen.chosen}
    others = sum(record.sha256 not in wanted for record in fewer)
    if others:
        raise SettingError(
            f"expected a new folder for the subset, got subset={str(fewer.directory)!r} with "
            f"{others} entries that are not in it; name another one"
        )
    fewer.add((r, whole.image(r), whole.seed_image(r)) for r in chosen.chosen)
    fewer.make()
