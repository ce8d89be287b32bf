"""The repair as one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compd.control import QUIET, Control
from compd.corpus import Corpus
from compd.corpus.given import check_given
from compd.data import Splits
from compd.pair import Pair
from compd.repairing.methods import METHODS, Schedule
from compd.repairing.result import RepairResult
from compd.repairing.run import repaired
from compd.repairing.settings import SEARCHES, RepairSettings

__all__ = ["repair"]


def repair(
    pair: Pair,
    corpus: Corpus,
    *,
    out: Path | str,
    splits: Splits | None = None,
    method: Schedule | str = "walk",
    rounds: int = 3,
    seconds: float | None = None,
    patience: int = 3,
    target: float | None = 0.02,
    keep: str = "best",
    max_accuracy_drop: float = 0.001,
    seeds: int = 60,
    eps: int | None = None,
    verdict_seeds: int = 100,
    searches: Sequence[str] = SEARCHES,
    random_seed: int = 0,
    min_severity: float = 0.0,
    classes: Sequence[str] = (),
    limit: int | None = None,
    force: bool = False,
    save_every: float = 20.0,
    control: Control = QUIET,
) -> RepairResult:
    """Fine-tune a pair's compressed model until it deviates less, and measure what that is worth.

    Trains on training rows and on the corpus, all labelled by the original; chooses among rounds by
    the selection rows; measures on held-out rows. A repair that was interrupted goes on where it
    was when it is called again with the same arguments.

    Args:
        pair: not changed.
        corpus: deviations of that pair.
        out: directory for the repaired pair; the start itself if no round was better.
        splits: the data; the pair's own if None.
        method: a registered one by its name, as in ``"walk"`` or ``"distil:lr=0.001"``, or a
            configuration of it.
        rounds: at most: fine-tune, convert, search again.
        seconds: wall time of the rounds; the verdict comes after. None for no limit.
        patience: rounds that bring nothing after which to stop.
        target: stop when at most this share of seeds, 0..1, reaches severity 0.2; None: never.
        keep: ``best`` keeps the best round by the selection rows; ``last``, the last one.
        max_accuracy_drop: of a round that may be kept, 0..1, on the selection rows.
        seeds: selection images that each round's search starts from.
        eps: bound of the searches, levels of 255; None for the corpus's own.
        verdict_seeds: held-out images that the verdict's searches start from.
        searches: of the verdict, some of :data:`compd.repairing.settings.SEARCHES`; the first is
            what is summed up.
        random_seed: of all draws, 0..2**62 - 1.
        min_severity: entries of the corpus that are milder, 0..1, are left out.
        classes: only entries whose seed the original gives one of these labels; all if empty.
        limit: at most that many entries, the most severe first; None for all.
        force: take entries of another pair, too.
        save_every: seconds of training after which its state is saved, for a process that is
            killed.
        control: told of progress, and asked whether to stop.

    Returns:
        The verdict; ``Pair.load(result.pair)`` gives the repaired pair.

    Raises:
        CompdError: if an argument makes no sense, the corpus is another pair's or empty, the pair
            has no shadow to train, or the disk is full.
        Stopped: if it was told to stop. All training is saved by then; a search or a verdict
            that was under way is done again.
    """
    check_given(pair=pair, corpus=corpus)
    asked = RepairSettings(
        method=METHODS.parse(method) if isinstance(method, str) else method,
        rounds=rounds,
        seconds=seconds,
        patience=patience,
        target=target,
        keep=keep,
        max_accuracy_drop=max_accuracy_drop,
        seeds=seeds,
        eps=eps,
        verdict_seeds=verdict_seeds,
        searches=tuple(searches),
        random_seed=random_seed,
        min_severity=min_severity,
        classes=tuple(classes),
        limit=limit,
        force=force,
    )
    return repaired(
        pair, corpus, asked, out=Path(out), splits=splits, save_every=save_every, control=control
    )
