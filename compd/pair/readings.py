"""Other ways to read the same images, and whether a model understands one of them better.

Files rarely say what they expect. A model that is fed BGR for RGB still runs; it is only worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from compd.errors import CompdError
from compd.models.inputs import predict
from compd.runtimes import FileRuntime, InputFormat, Overrides
from compd.statistics import mcnemar

__all__ = ["Reading", "better_readings", "information", "other_order"]

_IMAGENET = Overrides(
    range=(0.0, 1.0), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)  # of torchvision's models
# By which a less plain reading has to be better than a plainer one.
_PLAINER = {"accuracy": 0.02, "agreement": 0.02, "nats": 0.1}
# A reading is tried on the first images first, and dropped where it is right on fewer of them than
# now, by more than the second number.
_FIRST = ((8, 2), (32, 0))
_SURE = 1e-4  # chance at which a difference between two readings counts
_POINTS = 0.03  # by which a reading has to be right more often
_NATS = 0.35  # by which its answers have to tell more of the images where nobody labelled them
_MORE = 0.02  # nats, the same where colours alone change places
_AGREES = 0.05  # by which it has to agree more often with the original
_EXPLAINS = 0.75  # and how often


@dataclass(frozen=True)
class Reading:
    """Another way to read images, and what it is worth."""

    name: str  # for people: "BGR"
    overrides: Overrides  # what to pass
    before: float  # accuracy, agreement or nats as the file is read now
    after: float  # and as it would be
    measure: str  # which of them


def better_readings(
    runtime: FileRuntime,
    images: Tensor,
    *,
    labels: Tensor | None,
    answers: Tensor | None = None,
    now: Tensor | None = None,
    like: InputFormat | None = None,
) -> list[Reading]:
    """The readings that a model does clearly better with, the best first.

    Of two that do as well, the plainer is the better one.

    Args:
        runtime: the file as it is read now.
        images: uint8 (N, C, H, W).
        labels: int64 (N,); None if nobody labelled them.
        answers: int64 (N,): the original's labels, to look for agreement instead. None: the file is
            the original, and right where the labels say so, or else (unlabelled) where its answers
            tell most of the images.
        now: float (N, K): what the file says of the images as it is read; None to ask it.
        like: how the original is read, which is tried first.
    """
    now = predict(runtime.run, images) if now is None else now
    truth = labels if answers is None else answers
    measure = "agreement" if answers is not None else "accuracy" if labels is not None else "nats"
    found: list[Reading] = []
    for name, overrides in _others(runtime, images, like):
        other = runtime.read_as(overrides)
        try:
            then = _answers(other, images, now, truth)
        except CompdError:
            continue  # the file does not take it that way
        if then is None:
            continue
        if truth is None:
            before, after = information(now), information(then)
            better = after > before + _NATS
            if overrides == Overrides(
                bgr=not runtime.format.bgr
            ):  # contrast is the same: surer is better
                surer = _confidence(then) > _confidence(now)
                gained, lost = int(surer.sum()), int((~surer).sum())
                better = after > before + _MORE and _beyond_chance(gained, lost)
        else:
            right, would = now.argmax(1) == truth, then.argmax(1) == truth
            before, after = float(right.double().mean()), float(would.double().mean())
            gained, lost = int((would & ~right).sum()), int((right & ~would).sum())
            least = _POINTS if answers is None else _AGREES
            better = after >= before + least and _beyond_chance(gained, lost)
            if answers is not None:  # of a right reading, a compressed model agrees on most
                better = better and after >= _EXPLAINS
        if better:
            found.append(Reading(name, overrides, before, after, measure))
    return list(_ranked(found))


def _ranked(readings: list[Reading]) -> Iterator[Reading]:
    """Best first; they come with the plainer ones first."""
    left = list(readings)
    while left:
        best = left[0]
        for one in left[1:]:
            if one.after > best.after + _PLAINER[one.measure]:
                best = one
        left.remove(best)
        yield best


def other_order(answers: Tensor, said: Tensor, *, least: float = _EXPLAINS) -> float | None:
    """Whether the classes of two models are in another order.

    Args:
        answers: int64 (N,): the original's labels.
        said: int64 (N,): the deployed model's.
        least: share of images on which they have to agree then.

    Returns:
        On what share of images they agree when each class is renamed; None if a class would have
        to stand for two, if that is too few, or if all would keep their names.
    """
    names: dict[int, int] = {}
    for label in answers.unique().tolist():  # type: ignore[no-untyped-call]
        names[label] = int(said[answers == label].mode().values)
    if len(set(names.values())) < len(names) or all(a == b for a, b in names.items()):
        return None
    renamed = torch.tensor([names[label] for label in answers.tolist()])
    share = float((renamed == said).double().mean())
    return share if share >= least else None


def information(logits: Tensor) -> float:
    """How much a model's answers tell of the images, in nats (0 to the logarithm of K).

    The mutual information of image and label as the model has it: sure of each image, and not of
    the same class in all (the logarithm of the inception score, Salimans et al. 2016, section 4).
    """
    p = logits.softmax(1).double()
    each = torch.special.entr(p).sum(1).mean()
    return float(torch.special.entr(p.mean(0)).sum() - each)


def _answers(
    runtime: FileRuntime, images: Tensor, now: Tensor, truth: Tensor | None
) -> Tensor | None:
    """A file's answers; None where it is plainly worse than now on the first images already."""
    parts: list[Tensor] = []
    for count, slack in _FIRST:
        done = sum(map(len, parts))
        if truth is None or count >= len(images):
            break
        parts.append(predict(runtime.run, images[done:count]))
        right, would = (
            int((logits[:count].argmax(1) == truth[:count]).sum())
            for logits in (now, torch.cat(parts))
        )
        if would < right - slack:
            return None
    return torch.cat([*parts, predict(runtime.run, images[sum(map(len, parts)) :])])


def _beyond_chance(gained: int, lost: int) -> bool:
    """McNemar's exact test, one-sided: half of what the two-sided one gives."""
    return gained > lost and mcnemar(lost, gained) / 2 < _SURE


def _others(
    runtime: FileRuntime, images: Tensor, like: InputFormat | None
) -> Iterator[tuple[str, Overrides]]:
    """Readings by name."""
    form = runtime.format
    if like is not None and _reading(like) != _reading(form):
        mean, std = like.mean or (0.0,), like.std or (1.0,)
        bgr = None if like.bgr == form.bgr else like.bgr
        yield "the original's reading", Overrides(range=like.range, mean=mean, std=std, bgr=bgr)
    plain = Overrides(range=(0.0, 1.0), mean=(0.0,), std=(1.0,))
    colours = form.channels == 3
    order = "RGB" if form.bgr else "BGR"
    if colours:
        yield order, Overrides(bgr=not form.bgr)
    yield "inverted pixels", Overrides(range=form.range[::-1])
    ways = [
        ("pixels in 0..1", plain),
        ("pixels in 0..255", replace(plain, range=(0.0, 255.0))),
        ("pixels in -1..1", replace(plain, range=(-1.0, 1.0))),
        ("pixels in -128..127", replace(plain, range=(-128.0, 127.0))),
    ]
    if colours:
        ways.append(("ImageNet's normalisation", _IMAGENET))
    pixels = images.float().div(255)
    mean = tuple(round(float(v), 3) for v in pixels.mean((0, 2, 3)))
    std = tuple(round(max(float(v), 0.01), 3) for v in pixels.std((0, 2, 3)))
    ways.append(("the data's own normalisation", replace(plain, mean=mean, std=std)))
    now = (form.range, _or(form.mean, 0.0), _or(form.std, 1.0))
    for name, overrides in ways:
        if (overrides.range, _or(overrides.mean, 0.0), _or(overrides.std, 1.0)) != now:
            yield name, overrides
            if colours:
                yield f"{name}, {order}", replace(overrides, bgr=not form.bgr)


def _reading(form: InputFormat) -> tuple[object, ...]:
    return form.range, _or(form.mean, 0.0), _or(form.std, 1.0), form.bgr


def _confidence(logits: Tensor) -> Tensor:
    return logits.softmax(1).amax(1)


def _or(values: tuple[float, ...] | None, default: float) -> tuple[float, ...]:
    return values if values and any(value != default for value in values) else (default,)
