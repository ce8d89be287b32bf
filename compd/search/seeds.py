"""Which clean images a campaign starts from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.data import Split
from compd.errors import Stopped
from compd.pair import Pair
from compd.pair.evaluation import evaluate

__all__ = ["Seeds", "agreeing"]

_TOGETHER = 64  # images that are evaluated at once


@dataclass(frozen=True)
class Seeds:
    """Rows of a split to search from."""

    rows: Tensor  # int64 (N,)
    labels: Tensor  # int64 (N,): what both models say
    set_aside: int  # rows passed on the way on which the models disagree untouched
    wrong: int = 0  # of those on which they agree: passed since the original gets them wrong


def agreeing(
    pair: Pair,
    split: Split,
    *,
    limit: int | None = None,
    label: int | None = None,
    but: int | None = None,
    right: bool = False,
    control: Control = QUIET,
) -> Seeds:
    """The first rows on which both models agree.

    Args:
        pair: the pair.
        split: clean images.
        limit: how many rows; all if None.
        label: only rows to which the original gives this label; any if None.
        but: only rows to which it gives another label than this.
        right: only rows that it gets right, where they are labelled.
        control: asked whether to stop; then these are the rows that were found by then.
    """
    found = [torch.empty(0, dtype=torch.int64)]
    labels = list(found)
    wanted = len(split) if limit is None else limit
    count = set_aside = wrong = 0
    for start in range(0, len(split), _TOGETHER):
        try:
            seen = evaluate(pair, split.part(start, start + _TOGETHER), control=control.quiet)
        except Stopped:
            break
        agree, answers = ~seen.disagree, seen.answers
        asked_for = torch.ones_like(agree) if label is None else answers == label
        asked_for &= answers != but if but is not None else torch.ones_like(agree)
        agree &= asked_for
        good = agree & seen.right(seen.original) if right and split.labelled else agree
        rows = good.nonzero()[:, 0][: wanted - count]
        count += len(rows)
        looked_at = int(rows[-1]) + 1 if count == wanted and len(rows) else len(seen)
        set_aside += int((seen.disagree & asked_for)[:looked_at].sum())
        wrong += int((agree & ~good)[:looked_at].sum())
        found.append(rows + start)
        labels.append(answers[rows])
        if count == wanted:
            break
    return Seeds(torch.cat(found), torch.cat(labels), set_aside, wrong)
