"""Judging stored deviations again: in batches, and only those that somebody asks for."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from compd.corpus import Corpus, Record
from compd.corpus.replay import Replayed, replay
from compd.errors import CompdError, SettingError, brief
from compd.pair import Pair
from compd.search.judge import Judge
from compd.system import use_threads
from compd.system.machine import cpu_count

__all__ = ["PairOption", "Replays"]

_FIRST, _MOST = 8, 64  # images a batch


@dataclass(frozen=True)
class PairOption:
    """How a user names a pair; opened once."""

    given: tuple[str, ...]
    folder: Path  # that paths are relative to

    def open(self) -> Pair:
        """The pair.

        Raises:
            CompdError: if none or several are named, or it cannot be loaded.
        """
        if len(self.given) != 1:
            raise SettingError(
                f"expected one pair, got {len(self.given)}; name it with --compd-pair DIR, or "
                "compd_pair = DIR in the configuration of pytest"
            )
        return self._pair

    @cached_property
    def _pair(self) -> Pair:
        _share_cores()
        (name,) = self.given
        path = self.folder / name
        if ":" not in name or path.exists():
            return Pair.load(path)
        module, _, function = name.partition(":")
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        try:
            made = getattr(importlib.import_module(module), function)()
        except CompdError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {brief(error)}"
            raise SettingError(f"expected {name!r} to return a compd.Pair, got {what}") from error
        if not isinstance(made, Pair):
            raise SettingError(
                f"expected {name!r} to return a compd.Pair, got {type(made).__name__}"
            )
        return made


def _share_cores() -> None:
    """In a worker of pytest-xdist: no more threads than its share, or all wait for each other."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        use_threads(min(torch.get_num_threads(), max(1, cpu_count() // workers)))
    else:
        use_threads(torch.get_num_threads())


class Replays:
    """Judges the entries of a corpus as they are asked for, some ahead of that.

    Args:
        corpus: the entries.
        records: those that may be asked for, in the order in which they will be.
        pair: the models.
        all_wanted: whether each of them will be. If not, as where several processes share the
            tests, batches start small and grow while questions come in that order.
    """

    def __init__(
        self, corpus: Corpus, records: Sequence[Record], pair: Pair, *, all_wanted: bool
    ) -> None:
        self._corpus, self._records = corpus, records
        self._places = {record.sha256: i for i, record in enumerate(records)}
        self._judge = Judge(pair)
        self._known: dict[str, Replayed] = {}
        self._all_wanted = all_wanted
        self._batch, self._next = _FIRST, 0
        self.judged = 0  # entries

    def of(self, record: Record) -> Replayed:
        """What became of an entry."""
        if record.sha256 not in self._known:
            start = self._places[record.sha256]
            in_order = start == self._next and start > 0
            self._batch = min(_MOST, 2 * self._batch) if in_order else _FIRST
            ahead = self._records[start : start + (_MOST if self._all_wanted else self._batch)]
            self._next = start + len(ahead)
            unknown = [one for one in ahead if one.sha256 not in self._known]
            for one in replay(self._corpus, unknown, self._judge):
                self._known[one.record.sha256] = one
                self.judged += one.problem is None
        return self._known[record.sha256]
