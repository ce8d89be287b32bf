"""What of a pair's figures on test rows a policy does not let pass, and how a result says them."""

from __future__ import annotations

from compd.errors import InputError
from compd.gating.clean import CleanRows, tied
from compd.gating.policy import Policy
from compd.statistics import exceeds, holm
from compd.studies.guard import needed
from compd.wording import setting

__all__ = ["failures_of", "figures_of"]

_LABELLED = (
    "max_accuracy_drop",
    "max_class_accuracy_drop",
    "max_negative_flips",
    "max_class_negative_flips",
)
_LEVEL = 0.05  # of Holm's family: how often a class fails though it keeps the limit
_NAMED = 5  # classes


def failures_of(clean: CleanRows, policy: Policy) -> dict[str, str]:
    """What a policy does not let pass: its limit's name -> one line.

    Raises:
        CompdError: if something is limited that needs labels, and there are none.
    """
    asked = [name for name in _LABELLED if getattr(policy, name) is not None]
    if asked and clean.original_accuracy is None:
        named = asked[0].replace("_", "-")
        raise InputError(
            f"expected labelled images for {named}, got none; take it out, or name "
            f"{setting('data')} with class folders"
        )
    said = {
        "max-natural-disagreement": _disagreement(clean, policy),
        "max-accuracy-drop": _accuracy(clean, policy),
        "max-class-accuracy-drop": _class_accuracy(clean, policy),
        "max-negative-flips": _flips(clean, policy),
        "max-class-negative-flips": _class_flips(clean, policy),
        "max-shift-disagreement": _shifts(clean, policy),
        "guard-alpha": _guard(clean),
        "guard-min-coverage": _coverage(clean, policy),
    }
    return {name: text for name, text in said.items() if text}


def figures_of(clean: CleanRows) -> list[tuple[str, str]]:
    """Flips, shifted rows and the guard for people: what it is, and the figure."""
    rows = []
    if clean.flips is not None and clean.flips_bound is not None:
        rows.append(
            (
                "negative flips",
                f"only the original right on {clean.flips.only_original} of {clean.images} "
                f"(below {clean.flips_bound:.2%} with 95 % confidence), only the deployed model on "
                f"{clean.flips.only_deployed}",
            )
        )
    rows += [
        (
            f"disagreement under {one.shift}",
            f"{one.disagree} of {one.images} (below {one.disagree_bound:.2%} with 95 % confidence)",
        )
        for one in clean.shifted
    ]
    guard = clean.guard
    if guard is not None:
        said = f"no threshold keeps disagreement below {guard.alpha:.2%}"
        if guard.threshold is not None:
            said = (
                f"accepts margins from {guard.threshold:g}: {guard.accepted} of {guard.images} "
                f"held-out images ({guard.coverage:.1%}), {guard.disagree} of them differ"
            )
        rows.append(("guard", said))
    return rows


def _disagreement(clean: CleanRows, policy: Policy) -> str:
    limit = policy.max_natural_disagreement
    if limit is None or clean.disagree_bound <= limit:
        return ""
    return (
        f"{clean.disagree} of {clean.images} clean images differ{tied(clean)}, so the share is "
        f"below {clean.disagree_bound:.2%} with 95 % confidence; allowed are {limit:.2%}"
    )


def _accuracy(clean: CleanRows, policy: Policy) -> str:
    limit = policy.max_accuracy_drop
    before, after = clean.original_accuracy or 0.0, clean.deployed_accuracy or 0.0
    if limit is None or before - after <= limit:
        return ""
    return (
        f"accuracy {before:.2%} → {after:.2%} on {clean.images} images; allowed is a drop of "
        f"{limit:.2%}"
    )


def _class_accuracy(clean: CleanRows, policy: Policy) -> str:
    limit = policy.max_class_accuracy_drop
    worst = sorted((-drop, name) for name, drop in clean.class_drops.items())
    lost = [f"{name} {-drop:.2%}" for drop, name in worst if limit is not None and -drop > limit]
    return f"accuracy lost in {_few(lost)}; allowed are {limit:.2%}" if lost else ""


def _flips(clean: CleanRows, policy: Policy) -> str:
    limit = policy.max_negative_flips
    if limit is None or clean.flips is None or (clean.flips_bound or 0.0) <= limit:
        return ""
    return (
        f"only the original is right on {clean.flips.only_original} of {clean.images} images, so "
        f"the share is below {clean.flips_bound:.2%} with 95 % confidence; allowed are {limit:.2%}"
    )


def _class_flips(clean: CleanRows, policy: Policy) -> str:
    """Classes whose negative flip rate is above the limit by more than chance."""
    limit, counts = policy.max_class_negative_flips, clean.class_flips or {}
    if limit is None:
        return ""
    corrected = holm([exceeds(count, of, limit) for count, of in counts.values()])
    over = [
        (-count / of, f"{name} {count} of {of}")
        for (name, (count, of)), p_value in zip(counts.items(), corrected, strict=True)
        if p_value < _LEVEL
    ]
    if not over:
        return ""
    named = _few([said for _, said in sorted(over)])
    return (
        f"only the original is right on more of a class than {limit:.2%}, beyond chance "
        f"(5 % for all {len(counts)} classes together): {named}"
    )


def _shifts(clean: CleanRows, policy: Policy) -> str:
    limits = policy.max_shift_disagreement or {}
    over = [
        f"{one.shift}: {one.disagree} of {one.images}, below {one.disagree_bound:.2%} (allowed "
        f"are {limits[one.shift]:.2%})"
        for one in clean.shifted
        if one.disagree_bound > limits[one.shift]
    ]
    return f"shifted images differ, with 95 % confidence: {'; '.join(over)}" if over else ""


def _guard(clean: CleanRows) -> str:
    guard = clean.guard
    if guard is None or guard.threshold is not None:
        return ""
    count, chosen = needed(guard.alpha), clean.images - guard.images
    return (
        f"no threshold on the deployed model's margin keeps disagreement at {guard.alpha:.2%} with "
        f"95 % confidence on {chosen} images; it takes {count} accepted ones on which none differs"
    )


def _coverage(clean: CleanRows, policy: Policy) -> str:
    guard, least = clean.guard, policy.guard_min_coverage
    if guard is None or least is None or guard.threshold is None or guard.coverage >= least:
        return ""
    return (
        f"the guard accepts {guard.accepted} of {guard.images} held-out images "
        f"({guard.coverage:.2%}) at {guard.alpha:.2%} disagreement; asked for are {least:.2%}"
    )


def _few(named: list[str]) -> str:
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{', '.join(named[:_NAMED])}{more}"
