"""Which clean images a campaign starts from."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.data import Split
from compd.errors import SettingError, unknown
from compd.search.judge import Judge

__all__ = ["Seeds", "agreeing", "flip_labels"]

_LOOK = 64  # images a look


@dataclass(frozen=True)
class Seeds:
    """Rows of a split to search from."""

    rows: Tensor  # int64 (N,)
    labels: Tensor  # int64 (N,): what both models say
    set_aside: int  # rows passed on the way on which the models disagree untouched


def agreeing(
    judge: Judge, split: Split, *, limit: int | None, label: int | None, stop: threading.Event
) -> Seeds:
    """The first rows on which both models agree.

    Args:
        judge: of the pair.
        split: clean images.
        limit: how many rows; all if None.
        label: only rows to which the original gives this label; any if None.
        stop: set to end early.
    """
    found: list[Tensor] = []
    labels: list[Tensor] = []
    wanted = len(split) if limit is None else limit
    count = set_aside = 0
    for start in range(0, len(split), _LOOK):
        images = split.images[start : start + _LOOK]
        answers, agree = judge.untouched(images)
        asked_for = torch.ones_like(agree) if label is None else answers == label
        rows = (agree & asked_for).nonzero()[:, 0][: wanted - count]
        count += len(rows)
        looked_at = int(rows[-1]) + 1 if count == wanted and len(rows) else len(images)
        set_aside += int((~agree & asked_for)[:looked_at].sum())
        found.append(rows + start)
        labels.append(answers[rows])
        if count == wanted or stop.is_set():
            break
    return Seeds(torch.cat(found), torch.cat(labels), set_aside)


def flip_labels(
    flip: tuple[str, str] | None, classes: tuple[str, ...]
) -> tuple[int | None, int | None]:
    """The labels of a flip's two classes.

    Raises:
        CompdError: if one is unknown, or both are the same.
    """
    if flip is None:
        return None, None
    for name in flip:
        if name not in classes:
            raise unknown("class", name, classes)
    if flip[0] == flip[1]:
        raise SettingError("two different classes", flip=":".join(flip))
    return classes.index(flip[0]), classes.index(flip[1])
