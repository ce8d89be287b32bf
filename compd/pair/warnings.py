"""What makes a pair's clean figures mean little, though nothing is broken: said by name."""

from __future__ import annotations

import torch

from compd.compress import Given
from compd.pair.evaluation import Evaluation
from compd.pair.pair import Pair
from compd.statistics import Share
from compd.text import shortened
from compd.wording import command, setting

__all__ = ["LEAST", "few", "losing", "near_chance", "stretched", "unused_labels"]

LEAST = 20  # images from which on a share is worth the name
_NAMED = 5  # classes
_NEAR = 0.05  # above chance, at most, where there are few classes; half of chance where many


def few(pair: Pair, seen: Evaluation) -> list[str]:
    """That there are few images, or few classes among their answers."""
    if len(seen) < LEAST:
        return [f"{len(seen)} images say little; {LEAST} or more are looked at closely"]
    known, expected = len(torch.unique(seen.answers)), min(len(pair.classes), len(seen))
    labels = seen.split.labels if seen.split.labelled else seen.split.own
    if labels is not None:
        expected = min(expected, len(torch.unique(labels)))
    if 1 < known < expected / 4:
        return [
            f"the original answers {known} of its {len(pair.classes)} classes; are these images of "
            "what it knows?"
        ]
    return []


def near_chance(pair: Pair, seen: Evaluation) -> list[str]:
    """That an original does no better than guessing: what is found then means nothing."""
    accuracy, chance = seen.accuracy(seen.original), 1 / len(pair.classes)
    if accuracy is None or accuracy >= chance + min(chance / 2, _NEAR):
        return []
    text = (
        f"the original is right on {accuracy:.1%} of {len(seen)} labelled images, about chance "
        f"with {len(pair.classes)} classes"
    )
    if isinstance(pair.spec.compress, Given):
        named = setting("classes" if pair.reference.file is None else "labels")
        return [
            f"{text}; are these images of what it knows, and the labels in the order of its "
            f"classes ({named})?"
        ]
    return [f"{text}; give it {setting('weights')}, or train it: {command('train', out='FILE')}"]


def losing(pair: Pair, seen: Evaluation) -> list[str]:
    """That classes lose by the compression, more than chance explains."""
    lost = [one for one in seen.flips_of(pair.classes) if one.loses]
    if not lost:
        return []
    said = [
        f"{shortened(one.name, 60)} (only the original is right on {one.only_original} of "
        f"{one.images}, only the deployed model on {one.only_deployed})"
        for one in lost[:_NAMED]
    ]
    more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return [f"classes that lose, beyond chance: {', '.join(said)}{more}"]


def stretched(seen: Evaluation) -> list[str]:
    """That images were stretched to the model's shape, where nobody said how to scale them."""
    split = seen.split
    count = 0 if split.stretched is None else int(split.stretched.sum())
    if not count:
        return []
    height, width = split.images.shape[2:]
    ways = f"{setting('resize', 'crop')} (the centre) or {setting('resize', 'pad')}"
    return [
        f"{count} of {len(split)} images are not of the model's aspect ratio ({width}x{height}) "
        f"and were stretched; pass {ways}, or {setting('resize', 'stretch')} if it was trained so"
    ]


def unused_labels(pair: Pair, seen: Evaluation) -> list[str]:
    """That the data have labels of other classes than the model's, and how to have them used."""
    own, theirs, known = seen.split.own, len(seen.split.own_classes), len(pair.classes)
    if own is None:
        return []
    text = f"labels are not used, since the data have {theirs} classes and the model {known}"
    if theirs > known:
        return [f"{text}; leave out what is not of its classes"]
    if pair.reference.file is None:
        return [
            f"{text}; name all of the model's in its order as {setting('classes')}, the data's "
            "among them"
        ]
    offset, share = max(
        ((one, _right(seen, own + one)) for one in {0, 1, known - theirs}),
        key=lambda found: found[1].share,
    )
    if len(seen) >= LEAST and share.low > min(0.75, max(0.25, 1.5 / theirs)):
        background = " (an output for the background comes first)"
        return [
            f"{text}; with the data's first class as the model's class {offset}"
            f"{background if offset == 1 == known - theirs else ''} it is right on "
            f"{share.share:.1%}: pass {setting('labels_offset', offset)}"
        ]
    return [
        f"{text}; pass {setting('labels')} with a file of the model's {known} names, one a line in "
        f"its order, the data's among them"
    ]


def _right(seen: Evaluation, labels: torch.Tensor) -> Share:
    """Of how many images the original gives these labels."""
    return Share.count_of(int((seen.answers == labels).sum()), len(seen))
