"""What was found, in words that a terminal and a page share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

from compd.text import one_line

__all__ = [
    "SURE",
    "bound_words",
    "bounded",
    "campaign_sentence",
    "flip_words",
    "found_sentence",
    "full_words",
    "is_sure",
    "is_very_sure",
    "made_words",
    "name_words",
    "severity_words",
    "shift_of",
    "shift_words",
    "shifts_sentence",
    "sure_words",
    "worst_of",
    "worst_shifts",
]

SURE = 0.5  # severity: from here on both models put their answer this far before the next one
VERY_SURE = 0.9  # probability
_LEVELS = (90, 70)  # percent
_LETTERS = 60  # of a name
_SHIFTED = "under shifts"
_INT8 = 8
_HOW = {
    "qat": "quantisation-aware training",
    "ptq": "quantised after training",
    "prune": "weights set to zero, then fine-tuned",
    "given": "a file as it ships",
}


class Says(Protocol):
    """A model's answer, as an ``Answer`` has it."""

    @property
    def name(self) -> str:
        """The class."""

    @property
    def confidence(self) -> float:
        """Its probability, 0..1."""


class Flips(Protocol):
    """A deviation, as a ``Record`` or a ``Finding`` has it."""

    @property
    def verdict(self) -> Any:
        """A ``Verdict``, or its text."""

    @property
    def severity(self) -> float:
        """The smaller of both margins, 0..1."""

    @property
    def sha256(self) -> str:
        """Of the image's pixels."""


_Flip = TypeVar("_Flip", bound=Flips)


def name_words(name: object) -> str:
    """A class's or a file's name, printable, in one line, at most 60 characters."""
    line = one_line(str(name)) or "(no name)"
    return line if len(line) <= _LETTERS else f"{line[: _LETTERS - 1]}…"


def is_sure(severity: float) -> bool:
    """Whether both models of a deviation are sure, by the severity that is shown (two digits)."""
    return round(severity, 2) >= SURE


def is_very_sure(confidence: float) -> bool:
    """Whether a model is over 90 % sure, by the percent that are shown (one digit)."""
    return round(confidence, 3) >= VERY_SURE


def sure_words(confidence: float) -> str:
    """0.987 -> ``99 % sure``: rounded, but never to 100, since no model is entirely sure."""
    return f"{min(99, int(100 * confidence + 0.5))} % sure"


def flip_words(original: Says | Mapping[str, Any], deployed: Says | Mapping[str, Any]) -> str:
    """``7 (99 % sure) becomes 1 (98 % sure)``: both answers, as objects or as JSON has them."""
    before, after = (
        f"{name_words(_of(answer, 'name'))} ({sure_words(_of(answer, 'confidence'))})"
        for answer in (original, deployed)
    )
    return f"{before} becomes {after}"


def severity_words(said: float | tuple[Says | Mapping[str, Any], Says | Mapping[str, Any]]) -> str:
    """How sure the two models of a deviation are.

    Args:
        said: both answers; or the severity alone, 0..1: the smaller of both margins, and so what
            either model is sure of at least.
    """
    least = min(_of(one, "confidence") for one in said) if isinstance(said, tuple) else said
    for level in _LEVELS:
        if round(least, 3) >= level / 100:
            return f"both over {level} % sure"
    if isinstance(said, tuple):
        most = max(_of(one, "confidence") for one in said)
        return "both waver" if most < _LEVELS[-1] / 100 else "one of them wavers"
    return f"not both over {_LEVELS[-1]} % sure"


def shift_words(shift: str) -> str:
    """A shift as people read it: ``fog:3``; frost is said to be synthetic, as it is in a search."""
    kind, colon, level = name_words(shift).partition(":")
    return f"{kind}{' (synthetic)' if kind == 'frost' else ''}{colon}{level}"


def shift_of(strategy: Mapping[str, Any]) -> str:
    """What was done to the seed of an entry, where that has a name: ``fog:3``; else empty.

    Args:
        strategy: as a record has it.
    """
    said = strategy.get("shift")
    return shift_words(said) if isinstance(said, str) and said else ""


def bounded(bound: str) -> str:
    """What follows a count of flips: a space or a comma, and the bound."""
    return f" {bound}" if bound.startswith(("within", _SHIFTED)) else f", {bound}"


def bound_words(eps: int | None, norm: str = "linf", strategy: object = None) -> str:
    """``within 16/255``, ``L2 within 128/255``, ``unbounded``, or ``under shifts``.

    Args:
        eps: levels of 255; None, and for ``linf`` 255, is no bound.
        norm: ``linf`` or ``l2``.
        strategy: the name of the search's; that of shifts says more than a bound.
    """
    if strategy == "shift":
        return _SHIFTED
    if eps is None or (norm == "linf" and eps >= 255):
        return "unbounded"
    return f"within {eps}/255" if norm == "linf" else f"{name_words(norm).upper()} within {eps}/255"


def made_words(compress: Mapping[str, Any]) -> str:
    """What the deployed model is: ``int8``, ``pruned``, ``distilled``, or its file.

    Args:
        compress: as a corpus or a campaign's settings have it, with its ``kind``.
    """
    kind = str(compress.get("kind", "deployed"))
    if kind == "given":
        said = str(compress.get("deployed", "deployed"))
        return name_words(PurePath(said.replace("\\", "/")).name or said)
    if kind == "prune":
        return "pruned"
    if kind == "distil":
        return "distilled"
    if kind in ("qat", "ptq"):
        bits = compress.get("weight_bits", _INT8)
        few = isinstance(bits, int) and not isinstance(bits, bool) and bits < _INT8 - 1
        return f"int8 with weights of {bits} bits" if few else "int8"
    return name_words(kind)


def full_words(compress: Mapping[str, Any]) -> str:
    """What :func:`made_words` says in short, once in full: how the deployed model was made.

    Args:
        compress: as there.
    """
    made, kind = made_words(compress), compress.get("kind")
    how = _HOW.get(str(kind), "")
    amount = compress.get("amount")
    if kind == "prune" and isinstance(amount, float) and 0 < amount < 1:
        how = f"{100 * amount:.0f} % of each convolution's weights set to zero, then fine-tuned"
    return f"{made}, {how}" if how else made


def worst_of(records: Iterable[_Flip]) -> _Flip | None:
    """The most severe of what deviates; None if nothing does."""
    found = (one for one in records if str(one.verdict) == "effective")
    return max(found, key=lambda one: (one.severity, one.sha256), default=None)


def found_sentence(
    made: str,
    found: int,
    seeds: int,
    bound: str,
    *,
    severity: float | None = None,
    worst: tuple[Says | Mapping[str, Any], Says | Mapping[str, Any]] | None = None,
    shift: str = "",
) -> str:
    """How often something was found, and the worst of it.

    ``pruned: 36 of 64 images flip within 16/255; worst: 7 (99 % sure) becomes 1 (98 % sure).``

    Args:
        made: what the deployed model is, of :func:`made_words`.
        found: seeds from which a deviation was found.
        seeds: that were searched from.
        bound: of :func:`bound_words`.
        severity: the highest; None if it is not known.
        worst: both models' answers to the image that has it; left out where it is mild.
        shift: of :func:`shift_words`, what made it; empty where that has no name.
    """
    if not seeds:
        return f"{made}: nothing was searched."
    within = bounded(bound)
    if not found:
        return f"{made}: none of {_images(seeds)} flips{within}."
    said = f"{made}: {found} of {_images(seeds)} {'flips' if found == 1 else 'flip'}{within}"
    if severity is not None and not is_sure(severity):
        return f"{said}, {'not' if found == 1 else 'none of them'} sure."
    by = f" ({shift})" if shift else ""
    return f"{said}." if worst is None else f"{said}; worst: {flip_words(*worst)}{by}."


def campaign_sentence(result: object) -> str:
    """What a campaign found, in one sentence.

    Args:
        result: a ``CampaignReport``, or the JSON object of one; where it has no ``worst``, the
            worst deviation is left out.
    """
    settings = _of(result, "settings")
    worst = _of(result, "worst", None)
    return found_sentence(
        made_words(settings["compress"]),
        _of(result, "seeds_effective"),
        _of(result, "seeds"),
        bound_words(settings["eps"], settings["norm"], _of(result, "strategy", None)),
        severity=_of(result, "severity_max"),
        worst=None if worst is None else (worst["original"], worst["deployed"]),
        shift=shift_of(worst or {}),
    )


def worst_shifts(rates: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """The shifts under which the deployed model leaves the largest share of kept labels first.

    Args:
        rates: as a campaign's result has them: ``shift``, ``seeds``, ``kept``, ``left``.
        most: how many.
    """
    seen = [one for one in rates if one["kept"]]
    return sorted(seen, key=lambda one: (-one["left"] / one["kept"], -one["kept"]))[:most]


def shifts_sentence(rates: Sequence[Mapping[str, Any]], goal: str) -> str:
    """Whether shifts matter, in one sentence.

    Args:
        rates: as of :func:`worst_shifts`.
        goal: of the search; with ``first``, seeds that have deviated are not shifted again.
    """
    kept, left = (sum(one[name] for one in rates) for name in ("kept", "left"))
    if not kept:
        return "Does it matter? Under none of these shifts the original keeps a label."
    parting = [one for one in rates if one["left"]]
    said = (
        f"Does it matter? Of {kept} shifted images on which the original keeps its label, the "
        f"deployed model leaves it on {left} ({left / kept:.2%}), under {len(parting)} of "
        f"{len(rates)} shifts"
    )
    if goal == "first":
        said += "; a seed that has deviated is not shifted further: --goal severe has rates of all"
    return f"{said}."


_NONE = object()


def _of(thing: object, name: str, otherwise: object = _NONE) -> Any:
    """A value of an object, or of the mapping that its JSON is."""
    if isinstance(thing, Mapping):
        return thing[name] if otherwise is _NONE else thing.get(name, otherwise)
    return getattr(thing, name) if otherwise is _NONE else getattr(thing, name, otherwise)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
