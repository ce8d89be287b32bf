"""Is a pair worse than the one that was accepted? Its search against the record of that one's.

Other weights deviate in other pixels, so that single deviations say little of a retrained model. Of
the same seeds, searched in the same way, three things are asked:

1. Did severities rise, over all seeds, by more than chance (Wilcoxon's signed-rank test, 1945, one
   sided) and by more than retraining alone does?
2. Is there a seed that deviates far more severely than before: that rose by more than nine in ten
   seeds of the record are severe, and the policy's rise on top, and to where hardly any was?
3. Do the two models differ on more seeds as these are, by more than chance (McNemar's exact test)?
   A broken model is unsure of all that it says, so that nothing it does is severe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor

from compd.data import Split
from compd.gating.policy import Policy
from compd.gating.record import SearchRecord, Seed, rows_of
from compd.gating.search import how_of, settings_like
from compd.search import SearchSettings
from compd.statistics import mcnemar
from compd.wording import command

__all__ = ["Compared", "Like", "Rise", "against_record", "comparable", "margin_of"]

_SURE = 0.01  # chance at which a rise counts
# What the mean may rise by: so much, and this part of its distance from the nearer end of 0..1.
_LEAST, _PART = 0.02, 0.25
_NAMED = 0.1  # seeds that rose by more than this are named where the mean rose


@dataclass(frozen=True)
class Rise:
    """One seed, before and now."""

    seed: Seed  # as it is on record
    severity: float  # now
    flip: str  # now; empty where nothing deviates

    @property
    def rise(self) -> float:
        """By how much more severe it is."""
        return self.severity - self.seed.severity


@dataclass(frozen=True)
class Compared:
    """What a search says, next to its record."""

    seeds: int  # searched, that the record has
    missing: int  # seeds of the record that are not among the images any more
    mean_before: float  # severity over these seeds; 0 of those that do not deviate
    mean_now: float
    allowed: float  # rise of the mean that is nobody's fault
    chance: float  # p-value of the paired test
    margin: float  # rise of a single seed that is nobody's fault
    new_flips: tuple[str, ...]  # between classes that the record does not have
    worse: tuple[Rise, ...]  # seeds that make the pair worse, the steepest first
    parted: int = 0  # seeds on which the two differ untouched now, and did not; 0 within chance
    together: int = 0  # the reverse, if so

    @property
    def risen(self) -> bool:
        """Whether severities rose over all seeds, or the two differ untouched on more of them."""
        rise = self.mean_now - self.mean_before
        return bool(self.parted) or (rise > self.allowed and self.chance < _SURE)

    @property
    def holds(self) -> bool:
        """Whether the pair is no worse than its record."""
        return not self.worse

    def describe(self) -> str:
        """For people, in one line."""
        said = (
            f"mean severity {self.mean_before:.3f} → {self.mean_now:.3f} over {self.seeds} seeds "
            f"(up to {self.mean_before + self.allowed:.3f} is no worse; p {self.chance:.2g})"
        )
        alone = sum(one.rise > self.margin for one in self.worse)
        if alone:
            said += f"; {alone} seeds rose by more than {self.margin:.2f}"
        if self.parted:
            said += (
                f"; untouched, the two differ on {self.parted} seeds on which they agreed (the "
                f"reverse on {self.together}; p {mcnemar(self.together, self.parted):.2g})"
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            **asdict(self),
            "worse": [
                {
                    "seed_sha256": one.seed.sha256,
                    "seed_row": one.seed.row,
                    "before": one.seed.severity,
                    "now": one.severity,
                    "flip_before": one.seed.flip,
                    "flip": one.flip,
                }
                for one in self.worse
            ],
        }


def against_record(
    record: SearchRecord, now: Sequence[Seed], policy: Policy, *, missing: int = 0
) -> Compared:
    """Compare a search with the record.

    Args:
        record: of the same seeds in the same order.
        now: what they came to.
        policy: what counts: severities below ``min_severity`` are as good as none.
        missing: seeds of the record that could not be searched.
    """
    least = policy.min_severity
    pairs = [
        Rise(
            Seed(old.sha256, old.row, _counts(old.severity, least), old.flip),
            _counts(new.severity, least),
            new.flip,
        )
        for old, new in zip(record.seeds, now, strict=True)
    ]
    before = [one.seed.severity for one in pairs]
    count = max(1, len(pairs))
    mean_before, mean_now = sum(before) / count, sum(one.severity for one in pairs) / count
    margin = margin_of(record, policy)
    allowed = _LEAST + _PART * min(mean_before, 1 - mean_before)
    chance = _signed_rank([one.rise for one in pairs])
    known = {seed.flip for seed in record.seeds if seed.flip}
    flips = sorted({one.flip for one in pairs if one.flip} - known)
    risen = mean_now - mean_before > allowed and chance < _SURE
    high = _quantile(before, 0.98)
    worse = [
        one
        for one in pairs
        # another flip than any on record counts from nothing
        if (one.severity if one.flip in flips else one.rise) > margin and one.severity > high
    ]
    if risen:
        worse = [one for one in pairs if one in worse or one.rise > _NAMED]
    if risen and not worse:
        worse = [one for one in pairs if one.rise > 0]
    parted, together = _parted(record, now)
    worse += [pairs[at] for at in parted if pairs[at] not in worse]
    worse.sort(key=lambda one: (-one.rise, one.seed.sha256))
    return Compared(
        seeds=len(pairs),
        missing=missing,
        mean_before=round(mean_before, 6),
        mean_now=round(mean_now, 6),
        allowed=round(allowed, 6),
        chance=chance,
        margin=round(margin, 6),
        new_flips=tuple(flips),
        worse=tuple(worse),
        parted=len(parted),
        together=together,
    )


def _parted(record: SearchRecord, now: Sequence[Seed]) -> tuple[list[int], int]:
    """Seeds on which the two models differ untouched now and did not.

    Returns:
        Where these are, and how many are the reverse; none if there are no more of them than chance
        has, or the record does not say it.
    """
    both = list(zip(record.seeds, now, strict=True)) if record.tells_untouched else []
    parted = [at for at, (old, new) in enumerate(both) if new.untouched and not old.untouched]
    together = sum(old.untouched and not new.untouched for old, new in both)
    more = len(parted) > together and mcnemar(together, len(parted)) < _SURE
    return (parted, together) if more else ([], 0)


@dataclass(frozen=True)
class Like:
    """A search that can be compared with a record."""

    record: SearchRecord  # of the seeds below alone
    rows: Tensor  # int64 (n,) of the images
    settings: SearchSettings
    missing: int  # seeds of the record that are not among the images


def comparable(
    record: SearchRecord | None, images: Split, policy: Policy
) -> tuple[Like | None, tuple[str, ...]]:
    """How to search so that it can be compared; None, and why, if it cannot.

    Args:
        record: what there is.
        images: to search from.
        policy: the number of seeds and the time are its own; what else it says has to be as in the
            record.
    """
    again = f"accept again to compare: {command('baseline accept')}"
    if record is None:
        return None, (f"no record of the accepted pair's search; {again}",)
    settings = settings_like(record.how, policy)
    said = _said(policy, settings)
    other = record.differs(how_of(said))
    if other:
        return None, (f"the record is of a search with another {' and '.join(other)}; {again}",)
    wanted = record.first(policy.seeds) if policy.seeds < len(record.seeds) else record
    rows, known = rows_of(wanted, images)
    if len(known) * 2 < len(wanted.seeds) or not known:
        return None, (
            f"{len(wanted.seeds) - len(known)} of the record's {len(wanted.seeds)} seeds are not "
            f"among the images; {again}",
        )
    part = replace(wanted, seeds=tuple(wanted.seeds[at] for at in known))
    return Like(part, rows, settings, len(wanted.seeds) - len(known)), ()


def _said(policy: Policy, settings: SearchSettings) -> SearchSettings:
    """The settings of a record, with what a policy says of them."""
    given: dict[str, Any] = {
        "strategy": policy.strategy,
        "goal": policy.goal,
        "norm": policy.norm,
        "eps": policy.eps,
        "random_seed": policy.random_seed,
    }
    return replace(settings, **{key: value for key, value in given.items() if value is not None})


def margin_of(record: SearchRecord, policy: Policy) -> float:
    """The rise of a single deviation that retraining alone may bring, 0..1."""
    least = policy.min_severity
    usual = _quantile([_counts(seed.severity, least) for seed in record.seeds], 0.9)
    return min(1.0, policy.max_severity_rise + usual)


def _counts(severity: float, least: float) -> float:
    return severity if severity >= least else 0.0


def _quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of the others does not exceed; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _signed_rank(rises: Sequence[float]) -> float:
    """Chance of such rises, or higher ones, if rises and falls were as likely."""
    if not any(rises):
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(rises, alternative="greater", method="auto").pvalue)
