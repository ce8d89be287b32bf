"""From a corpus to one of the same flips by smaller changes.

The entries that are minimised stay where they are: results go to a corpus of their own. So nothing
can be lost at any moment, and what was done before a crash is what the new corpus holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from compd.control import QUIET, Control, Outcome
from compd.corpus.batching import Job, Models, batched
from compd.corpus.entries import Entry, read_entry
from compd.corpus.given import check_given
from compd.corpus.minimised import records_of
from compd.corpus.records import Record
from compd.corpus.shrink import shrink
from compd.corpus.store import Corpus
from compd.corpus.trials import Pixels
from compd.errors import CompdError, SettingError
from compd.pair import Pair
from compd.rng import draws_at, seed_key
from compd.search.judge import Verdict

__all__ = ["Minimisation", "MinimiseSettings", "minimise"]


@dataclass(frozen=True)
class MinimiseSettings:
    """How hard, and within which bounds, entries are made smaller.

    Raises:
        CompdError: if a value makes no sense.
    """

    trials: int = 400  # candidates judged for each entry at most
    eps: int | None = None  # levels a value may move; None: as in the entry's campaign
    random_seed: int = 0
    keep_severity: float = 0.5  # share of an entry's severity that a smaller one keeps; 0: any

    def __post_init__(self) -> None:
        if not 1 <= self.trials < 2**31:
            raise SettingError("at least one trial an entry", trials=self.trials)
        if self.eps is not None and not 1 <= self.eps <= 255:
            raise SettingError("eps in 1..255 (levels of 255)", eps=self.eps)
        if not 0 <= self.random_seed < 2**63:
            raise SettingError(f"expected 0 <= random_seed < 2**63, got {self.random_seed}")

        if not 0 <= self.keep_severity <= 1:  # NaN is refused, too
            raise SettingError("a share of the severity in 0..1", keep_severity=self.keep_severity)

    def bound(self, record: Record) -> int:
        """How many levels from the seed a value of this entry may lie: never less than it does.

        An entry of a campaign without a bound on Linf keeps to the Linf that it has.
        """
        eps = (record.eps if record.norm == "linf" else None) if self.eps is None else self.eps
        return record.linf if eps is None else max(eps, record.linf)


@dataclass
class Minimisation:
    """What became of the entries of a corpus."""

    passed_over: int = 0  # not effective: no flip to keep
    done_before: int = 0  # by an earlier run into the same corpus
    stored: int = 0  # by this run
    alike: int = 0  # led to an image that another entry had led to
    left_out: dict[str, str] = field(default_factory=dict)  # hash -> why
    trials: int = 0  # images judged on the deployed model
    forwards: int = 0  # of these, on the original, too
    gradients: int = 0
    seconds: float = 0.0
    stopped: str = str(Outcome.DONE)  # or "interrupted"


def minimise(
    source: Corpus,
    target: Corpus,
    pair: Pair,
    *,
    trials: int = 400,
    eps: int | None = None,
    random_seed: int = 0,
    keep_severity: float = 0.5,
    save_every: float = 1.0,
    control: Control = QUIET,
) -> Minimisation:
    """Store, for each effective entry, the smallest change found that keeps the same two answers.

    A run that was stopped or killed goes on where it was: entries that ``target`` names as sources
    are done. What is stored depends neither on how often it was interrupted nor, but for the
    fingerprint, on the batch size.

    Args:
        source: what to make smaller; not changed.
        target: where results go, in the order of their sources.
        pair: the models that judge.
        trials: candidates judged for each entry at most.
        eps: levels of 255 that a value may move; None: as in the entry's campaign.
        random_seed: of all draws, 0..2**63 - 1.
        keep_severity: share of an entry's severity that a smaller change keeps at least, 0..1.
        save_every: seconds between writes, each of which waits for the disk.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if a setting makes no sense, or ``target`` holds anything but results of this
            pair and these settings.
    """
    check_given(pair=pair, source=source, target=target)
    settings = MinimiseSettings(trials, eps, random_seed, keep_severity)
    made_with = asdict(settings)
    _check_target(source, target, pair, made_with)
    done = {record.minimised.source for record in target if record.minimised is not None}
    effective = [record for record in source if record.verdict is Verdict.EFFECTIVE]
    todo = [record for record in effective if record.sha256 not in done]
    result = Minimisation(len(source) - len(effective), len(effective) - len(todo))
    models = Models(pair)
    ended: dict[int, tuple[Entry, Pixels | None] | None] = {}  # not yet written
    open_: dict[int, Entry] = {}
    written = 0

    def jobs() -> Iterator[Job]:
        for number, record in enumerate(todo):
            if shift := record.strategy.get("shift"):
                result.left_out[record.sha256] = f"{shift:.40} as a whole; a part of it is no shift"
                ended[number] = None
                continue
            try:
                entry = read_entry(source, record, pair)
            except CompdError as error:
                result.left_out[record.sha256] = error.message
                ended[number] = None
                continue
            open_[number] = entry
            (draws,) = draws_at(settings.random_seed, [seed_key(record.sha256)], 0)
            steps = shrink(
                entry.image.numpy(),
                entry.seed.numpy(),
                bound=settings.bound(record),
                trials=settings.trials,
                draws=draws,
                length=record.eps if record.norm == "l2" else None,
                keep_severity=settings.keep_severity,
            )
            yield Job(number, steps, record.seed_label, record.deployed.label)

    def write() -> int:
        """Store all that has ended up to the first entry that has not; return how many."""
        count, ready = 0, []
        while written + count in ended:
            end = ended.pop(written + count)
            count += 1
            if end is not None and end[1] is not None:
                ready.append((end[0], end[1]))
            elif end is not None:
                result.left_out[end[0].record.sha256] = f"no longer {end[0].record.flip}"
        records = records_of(ready, pair, settings=made_with)
        for (entry, _), record in zip(ready, records, strict=True):
            if record is None:  # a device whose sums depend on the batch
                result.left_out[entry.record.sha256] = "other answers in another batch"
        new = [record for record in records if record is not None]
        added = target.add(new)
        result.stored += added
        result.alike += len(new) - added
        return count

    begun = time.perf_counter()
    due = begun + save_every
    for end in batched(jobs(), models, batch=pair.batch):
        if end is not None:
            job, pixels = end
            ended[job.number] = open_.pop(job.number), pixels
            continue
        if time.perf_counter() >= due:
            written += write()
            due = time.perf_counter() + save_every
        control.report("minimising", result.done_before + written + len(ended), len(effective))
        if control.stopped:
            result.stopped = str(Outcome.INTERRUPTED)
            break
    else:
        target.make()  # also where there was nothing to make smaller
    written += write()
    control.report("minimising", result.done_before + written, len(effective))
    result.trials, result.forwards, result.gradients = (
        models.trials,
        models.forwards,
        models.gradients,
    )
    result.seconds = time.perf_counter() - begun
    return result


def _check_target(
    source: Corpus, target: Corpus, pair: Pair, settings: dict[str, int | float | None]
) -> None:
    """Raise unless a corpus holds nothing but what the same minimisation put there."""
    where = str(target.directory)
    if source.directory.resolve() == target.directory.resolve():
        raise SettingError(
            "another folder than the corpus's own",
            advice="entries stay until you delete them",
            out=where,
        )
    for record in target:
        if record.minimised is None or record.minimised.source not in source:
            raise SettingError(
                f"expected a new folder, or one that this corpus was minimised into, got "
                f"out={where!r} with other entries; name another one"
            )
        if record.fingerprint.get("deployed_sha256") != pair.hashes["deployed"]:
            raise SettingError(
                f"expected the pair that out={where!r} was begun with, got another; name another "
                "folder"
            )
        if dict(record.minimised.settings) != settings:
            before = ", ".join(f"{k}={v}" for k, v in record.minimised.settings.items())
            raise SettingError(
                f"expected the settings that out={where!r} was begun with ({before}), got others; "
                "name another folder"
            )
