"""Advice on how files are to be read: tried as a user would follow it, and only then given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

from torch import Tensor

from compd.errors import CompdError
from compd.models.inputs import predict
from compd.runtimes import FileRuntime, InputFormat, Overrides, Runtime
from compd.wording import setting

__all__ = ["Tried", "shared_by", "spoken", "tried"]

Words = tuple[tuple[str, str], ...]  # names of settings, and what to pass; see spoken()


@dataclass(frozen=True)
class Tried:
    """Settings that mend what they are said to mend."""

    text: str  # with the marks of :func:`compd.wording.setting`
    models: tuple[Runtime, Runtime]  # original and deployed, as they are read with these settings
    original: Tensor  # float32 logits (N, K) of these
    deployed: Tensor

    @property
    def apart(self) -> float:
        """Share of images on which the two models answer otherwise then."""
        return float((self.original.argmax(1) != self.deployed.argmax(1)).double().mean())


def tried(
    reference: Runtime,
    deployed: Runtime,
    role: str,
    change: Overrides,
    images: Tensor,
    mends: Callable[[Tried], bool],
) -> Tried | None:
    """The settings by which a file is read otherwise, if they mend it.

    What is said of the original holds for both files, unless it is said of the deployed one alone.

    Args:
        reference: the original.
        deployed: the deployed model.
        role: ``original`` or ``deployed``: whose reading is to change.
        change: what is to be read otherwise.
        images: uint8 (N, C, H, W) to try them on.
        mends: whether that is what it has to be.
    """
    for text, first, second in _ways(reference, deployed, role, change):
        try:
            answers = (predict(one.run, images) for one in (first, second))
            found = Tried(text, (first, second), *answers)
        except CompdError:
            continue  # a file does not take it that way
        if mends(found):
            return found
    return None


def _ways(
    reference: Runtime, deployed: Runtime, role: str, change: Overrides
) -> Iterator[tuple[str, Runtime, Runtime]]:
    """What can be passed, and both models as they are read then."""
    shipped, original = deployed.file, reference.file
    if role == "deployed":
        assert shipped is not None
        words = spoken(change, shipped.format, and_of=shipped.own)
        yield _as_deployed(words), reference, shipped.read_as(_parsed(words))
        return
    assert original is not None
    words = spoken(change, original.format)
    said = _parsed(words)
    text = " ".join(
        f"without {setting(name)}" if value == "no" else setting(name, value)
        for name, value in words
    )
    first = original.read_as(said)
    if shipped is None:
        yield text, first, deployed
        return
    held = shared_by(shipped, _without(said, shipped.own))
    yield text, first, shipped.read_as(held) if held != Overrides() else shipped
    if held != Overrides():  # or the deployed file stays as it is read now
        keep = _as_it_is(shipped.format, held)
        words = spoken(keep, first.format, and_of=shipped.own)
        again = shipped.read_as(held).read_as(_parsed(words))
        yield f"{text} {_as_deployed(words)}", first, again


def shared_by(file: FileRuntime, said: Overrides) -> Overrides:
    """What of that which is said of both files holds for one of them.

    A file that takes the levels of pixels as they are has its own normalisation inside.
    """
    if not file.format.of_levels:
        return said
    return replace(said, range=None, mean=None, std=None)


def spoken(change: Overrides, form: InputFormat, *, and_of: Overrides | None = None) -> Words:
    """What a user says for a file to be read so: names and values.

    ``True`` stands for a word alone, and ``no`` for its opposite. A mean and a deviation are said
    together, and neutral ones only where the file is read with others.

    Args:
        change: how it is to be read.
        form: how it is read now.
        and_of: what has been said of it in the same place, and is said again.
    """
    whole = change if and_of is None else change.over(and_of)
    said: list[tuple[str, str]] = []
    for name in ("layout", "output", "output_name"):
        value = getattr(whole, name)
        said += [] if value is None else [(name, value)]
    for name in ("deadline", "start_deadline"):
        seconds = getattr(whole, name)
        said += [] if seconds is None else [(name, f"{seconds:g}")]
    if whole.range is not None:
        said.append(("range", _numbers(whole.range)))
    mean, std = _or(whole.mean, 0.0), _or(whole.std, 1.0)
    now = _or(form.mean, 0.0), _or(form.std, 1.0)
    if (whole.mean is not None or whole.std is not None) and (
        (mean, std) != ((0.0,), (1.0,)) or now != ((0.0,), (1.0,))
    ):
        said += [("mean", _numbers(mean)), ("std", _numbers(std))]
    if whole.bgr is not None:
        said.append(("bgr", "True" if whole.bgr else "no"))
    return tuple(said)


def _as_deployed(words: Words) -> str:
    text = " ".join(
        name if value == "True" else f"{name.replace('_', '-')}={value}" for name, value in words
    )
    return setting("deployed_input", f"'{text}'")


def _parsed(words: Words) -> Overrides:
    """The words as they are read again: numbers have the digits that are printed."""
    said = dict(words)

    def numbers(name: str) -> tuple[float, ...] | None:
        return tuple(float(part) for part in said[name].split(",")) if name in said else None

    ends = numbers("range")
    return Overrides(
        layout=said.get("layout"),
        range=None if ends is None else (ends[0], ends[1]),
        mean=numbers("mean"),
        std=numbers("std"),
        bgr=None if "bgr" not in said else said["bgr"] == "True",
        output=said.get("output"),
    )


def _without(said: Overrides, own: Overrides) -> Overrides:
    """What is said of both files, less what is said of this one alone."""
    mine = {one.name: None for one in fields(own) if getattr(own, one.name) is not None}
    return replace(said, **mine)


def _as_it_is(form: InputFormat, held: Overrides) -> Overrides:
    """How a file is read now, in all that something else is said of."""
    return Overrides(
        range=None if held.range is None else form.range,
        mean=None if held.mean is None else form.mean or (0.0,),
        std=None if held.std is None else form.std or (1.0,),
        bgr=None if held.bgr is None else form.bgr,
        output=None if held.output is None else form.output,
    )


def _or(values: tuple[float, ...] | None, default: float) -> tuple[float, ...]:
    return values if values and any(value != default for value in values) else (default,)


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
