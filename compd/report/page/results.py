"""What a page shows of a result: any JSON object that compd writes of a search, gate or repair."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compd.errors import InputError
from compd.files.reading import read_whole
from compd.report.page.fields import Fields
from compd.report.page.shown import CampaignShown, ClassShown, Result
from compd.report.page.verdicts import gate_of, repair_of
from compd.report.sentence import (
    campaign_sentence,
    full_words,
    is_sure,
    made_words,
    name_words,
)
from compd.statistics import Share

__all__ = ["parse_results", "read_results", "results_of"]

_LARGEST = 256 << 20  # bytes of a file
_MOST = 1000  # results in one
_CLASSES = 20_000
_SPAN = re.compile(r"\[(\d{1,12}):(\d{1,12})\]")  # of rows: all[1079:1438]


def results_of(content: object, name: str) -> tuple[Result, ...]:
    """Read a JSON object of ``compd fuzz``, ``gate`` or ``repair``.

    Args:
        content: the object; of a search with several compressions, ``{"results": [...]}``.
        name: of what it was read from, which the page shows.

    Raises:
        CompdError: if it is none of these, or a value in it is not of its kind.
    """
    try:
        fields = Fields(content, name)
        if "results" in fields:
            found = list(fields.objects("results"))
            if not 1 <= len(found) <= _MOST:
                raise _unknown(name)
            return tuple(_result(one, name) for one in found)
        return (_result(fields, name),)
    except (RecursionError, OverflowError) as error:
        raise _unknown(name) from error


def parse_results(data: bytes, name: str) -> tuple[Result, ...]:
    """The same, from the bytes of a file."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unknown(name) from error
    return results_of(content, name)


def read_results(path: Path) -> tuple[Result, ...]:
    """The same, from a file.

    Raises:
        CompdError: if it cannot be read, too.
    """
    try:
        return parse_results(read_whole(path, _LARGEST), str(path))
    except OSError as error:
        raise InputError(f"expected to read json={str(path)!r}, got: {error.strerror}") from error


def _unknown(name: str) -> InputError:
    return InputError(
        "expected the JSON of compd fuzz, gate, repair or study (--json FILE), got something else "
        f"in {name}"
    )


def _result(fields: Fields, name: str) -> Result:
    if "exit_code" in fields and "deviations" in fields:
        return gate_of(fields, name)
    if "accuracy_before" in fields and "fresh" in fields:
        return repair_of(fields, name)
    if "seeds_effective" in fields and "settings" in fields:
        return _campaign(fields, name)
    raise _unknown(name)


def _share(value: float | None, of: int) -> Share | None:
    return None if value is None else Share.count_of(round(value * of), of)


def _campaign(fields: Fields, name: str) -> CampaignShown:
    settings, seeds = fields.inner("settings"), fields.count("seeds")
    found = fields.part("seeds_effective", "seeds")
    made, eps = settings.inner("compress"), settings.maybe("eps", 0, 1 << 20)
    norm, goal = settings.text("norm"), settings.text("goal", "first")
    strategy = fields.text("strategy")
    clean = fields.count("clean_images")
    severest = fields.maybe("severity_max", 0, 1)
    worst: dict[str, Any] | None = None
    if "worst" in fields:
        worst = {
            who: {
                "name": fields.inner("worst").inner(who).text("name"),
                "confidence": fields.inner("worst").inner(who).number("confidence", 0, 1),
            }
            for who in ("original", "deployed")
        }
        if "shift" in fields.inner("worst"):
            worst["shift"] = fields.inner("worst").text("shift")
    bound = "no bound" if eps is None else f"{'Linf' if norm == 'linf' else 'L2'} ≤ {eps:g}/255"
    said = {
        "settings": {
            "compress": _plain(made.content),
            "eps": None if eps is None else int(eps),
            "norm": norm,
        },
        "strategy": strategy,
        "seeds": seeds,
        "seeds_effective": found,
        "severity_max": severest,
        "worst": worst,
    }
    return CampaignShown(
        name=name,
        made=made_words(_plain(made.content)),
        full=full_words(_plain(made.content)),
        given=made.content.get("kind") == "given",
        pair=_pair(fields, settings, made),
        same=_same(fields, made),
        corpus=fields.text("corpus", ""),
        sentence=campaign_sentence(said),
        severe=severest is not None and is_sure(severest),
        by_class=_by_class(fields),
        seeds=seeds,
        found=found,
        severity_median=fields.maybe("severity_median", 0, 1),
        severity_max=severest,
        original=_share(fields.maybe("original_accuracy", 0, 1), clean),
        deployed=_share(fields.maybe("deployed_accuracy", 0, 1), clean),
        natural=Share.count_of(round(fields.number("natural_disagreement", 0, 1) * clean), clean),
        ties=fields.count("natural_ties", 0),
        set_aside=fields.count("seeds_set_aside", 0),
        wrong=fields.count("seeds_wrong", 0),
        rows=fields.names("rows"),
        strategy=strategy,
        search=f"{strategy}, {bound}, goal {goal}",
        chosen=_chosen(fields, settings, seeds),
        goal=goal,
        eps=None if eps is None else int(eps),
        norm=norm,
        stability=fields.names("trust"),
        seconds=fields.number("seconds"),
        stopped=fields.text("stopped", "done"),
        notes=fields.texts("notes"),
        fingerprint=fields.names("fingerprint"),
    )


def _plain(compress: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a compression that words need."""
    return {
        key: compress[key]
        for key in ("kind", "deployed", "weight_bits", "amount")
        if key in compress
    }


def _pair(fields: Fields, settings: Fields, made: Fields) -> str:
    if made.content.get("kind") == "given":
        return (
            f"{made.text('original', '?')} and {made.text('deployed', '?')} on "
            f"{fields.text('data', '?')}, {fields.text('engine', '?')}"
        )
    width = settings.maybe("width")
    wide = "" if width is None else f" (width {width:g})"
    return (
        f"{fields.text('model', '?')}{wide} on {fields.text('data', '?')}, "
        f"{fields.text('compress', '?')}, {fields.text('engine', '?')}"
    )


def _same(fields: Fields, made: Fields) -> tuple[str, ...]:
    """What two runs of one pair have in common."""
    names = (fields.text("model", "?"), fields.text("data", "?"), fields.text("compress", "?"))
    files = (made.text("original", "?"), made.text("deployed", "?"))
    return (*names, made_words(_plain(made.content)), *files)


def _chosen(fields: Fields, settings: Fields, seeds: int) -> str:
    """How a search took its seeds from the rows: the first ones that fit."""
    rows = fields.names("rows").get("seeds", "")
    if not rows:
        return ""
    span = _SPAN.search(rows)
    count = int(span[2]) - int(span[1]) if span else 0
    of = f"{seeds} of {count} images" if count >= seeds else f"{seeds} images"
    right = ", and the original is right" if settings.text("wrong_seeds", "") == "aside" else ""
    flip = f", of the flip {settings.text('flip')}" if "flip" in settings else ""
    return f"{of} (rows {rows}): the first on which both models agree{right}{flip}"


def _by_class(fields: Fields) -> dict[str, ClassShown] | None:
    if "by_class" not in fields:
        return None
    whole = fields.inner("by_class")
    found: dict[str, ClassShown] = {}
    for key in list(whole.content)[:_CLASSES]:
        one = whole.inner(key)
        found[name_words(key)] = ClassShown(
            seeds=one.count("seeds"),
            found=one.part("effective", "seeds"),
            sure=one.part("sure", "effective"),
            very_sure=one.part("very_sure", "effective"),
            severity_max=one.maybe("severity_max", 0, 1),
            becomes={name_words(k): int(n) for k, n in one.numbers("becomes").items()},
        )
    return found
