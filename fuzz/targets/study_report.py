"""The JSON of ``compd study`` that a page is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from compd.pair.flips import ClassFlips, Flips
from compd.report.page.studies import headline_of_studies, section_of_study, study_of
from compd.statistics import Share
from compd.studies import StudyReport
from compd.studies.bits import BitFigures, BitsResult
from compd.studies.calibration import Calibrated, CalibrationResult, SetCalibration
from compd.studies.ensemble import EnsembleResult, MemberFigures
from compd.studies.formats import FormatFigures, FormatSet, FormatsResult
from compd.studies.guard import Accepted, GuardResult
from compd.studies.metrics import SCORES, Bin, Interval
from compd.studies.retraining import Counted, RetrainingResult
from compd.studies.shifts import Both, SetFigures, ShiftsResult
from compd.studies.strategies import StrategiesResult, StrategyFigures, StrategySet
from compd.studies.uncertainty import (
    ScoreFigures,
    Separation,
    SetUncertainty,
    UncertaintyResult,
)
from compd.text import printable
from targets.contract import Broken, only_compd_errors
from targets.json_shapes import WORDS, mutate_json

__all__ = ["WORDS", "entry", "mutate", "report", "seeds"]

_N = 200
_LEVELS = {"fog:1": 3, "fog:3": 6, "fog:5": 20, "awgn:0.1": 10, "awgn:0.5": 30, "camera": 9}


def report(names: tuple[str, ...] = ("cat", "dog"), camera: str = "camera") -> StudyReport:
    """A report of all studies with figures that were made up.

    Args:
        names: of two classes.
        camera: name of a set of another source.
    """
    results = {
        "shifts": _shifts(names, camera),
        "uncertainty": _uncertainty(camera),
        "calibration": CalibrationResult((_calibrated("clean"), _calibrated(camera))),
        "guard": _guard(camera),
        "bits": BitsResult((_bits(8, 2), _bits(5, 9), _bits(4, 40)), 0.97),
        "formats": FormatsResult((_format(camera),)),
        "strategies": StrategiesResult(3, (_strategy("standard"), _strategy("mixup"))),
        "retraining": RetrainingResult("truth", 5, _counted(), _counted()),
        "ensemble": EnsembleResult(4, (_member(camera), _member("mean"))),
    }
    sets = ("clean", *(camera if name == "camera" else name for name in _LEVELS))
    settings: dict[str, dict[str, Any]] = {name: {} for name in results}
    return StudyReport(
        pair=f"lenet5 on {camera}",
        rows="digits test[0:200]",
        images=_N,
        sets=sets,
        left_out=("frost",),
        random_seed=0,
        original_sha256="a" * 64,
        deployed_sha256="b" * 64,
        settings=settings,
        results=results,
        skipped={},
    )


def _set(name: str, apart: int, names: tuple[str, ...]) -> SetFigures:
    kind, _, level = name.partition(":")
    lost, gained = apart // 2, apart // 4
    return SetFigures(
        name=name,
        kind=kind if level else None,
        severity=float(level) if level else None,
        images=_N,
        rows="digits test[0:200]",
        accuracy_original=0.9 - apart / 100,
        accuracy_deployed=0.9 - apart / 100 + (gained - lost) / _N,
        accuracy_change=(gained - lost) / _N,
        accuracy_p_value=0.2,
        flips=Flips(_N - apart - 10, lost, gained, 10 + apart - lost - gained, 1),
        negative_flips=Share.count_of(lost, _N),
        disagreement=Share.count_of(apart, _N),
        argmax_count=apart,
        not_finite=0,
        ties=1,
        factor=None if name == "clean" else apart / 2,
        p_value=0.01 if level else None,
        kl=apart / 1000,
        top5=None,
        f1_macro=Both(0.8, 0.7),
        f1_weighted=None,
        clipped=0.01,
        clipped_layer="conv1",
        clipped_above=0.005,
        losing=names[:1] if apart > 15 else (),
        classes=tuple(ClassFlips(each, 100, lost, 0, 0.01, 0.2, 0.01) for each in names),
    )


def _shifts(names: tuple[str, ...], camera: str) -> ShiftsResult:
    sets = [_set(name, apart, names) for name, apart in _LEVELS.items()]
    sets = [replace(one, name=camera) if one.name == "camera" else one for one in sets]
    sets.sort(key=lambda one: -one.disagreement.share)
    return ShiftsResult(_set("clean", 2, names), tuple(sets), 1, 5, 0, 1)


def _uncertainty(camera: str) -> UncertaintyResult:
    scores = {name: ScoreFigures(0.9, 0.8, 0.95, None) for name in SCORES}
    above = {"entropy": Interval(0.01, -0.01, 0.03)}
    one = SetUncertainty("clean", _N, 2, 0, scores, scores, above, above)
    apart = Separation(
        1.0, (150, 48, *[0] * 18), (*[0] * 18, 1, 1), (0.0, 0.1, 1.0), (0.0, 0.5, 1.0)
    )
    both = {name: replace(apart, most=2.3 if name == "entropy" else 1.0) for name in scores}
    return UncertaintyResult(0.95, (one, replace(one, name=camera)), both, both)


def _calibrated(name: str) -> SetCalibration:
    bins = (Bin(0.0, 0.6, 100, 0.5, 0.4), Bin(0.6, 0.6, 0, None, None), Bin(0.6, 1, 100, 0.9, 0.95))
    one = Calibrated(0.05, 0.06, 0.7, 0.675, bins, (0,) * 10 + (100,) + (0,) * 8 + (100,))
    return SetCalibration(name, _N, one, replace(one, ece=0.08))


def _accepted(name: str, count: int, apart: int) -> Accepted:
    share = apart / count if count else 0.0
    return Accepted(name, 100, count, apart, count / 100, share, share + 0.02, True, 0.9, 0.95)


def _guard(camera: str) -> GuardResult:
    curve = tuple(_accepted(f"{t / 10:.1f}", 100 - 9 * t, max(0, 8 - t)) for t in range(10))
    return GuardResult(
        alpha=0.05,
        confidence=0.95,
        threshold=0.42,
        needed=59,
        choosing=_accepted("choosing", 60, 1),
        heldout=_accepted("held-out", 62, 2),
        sets=(replace(_accepted(camera, 40, 12), holds=False), _accepted("fog:1", 55, 1)),
        curve=curve,
        stored=7,
        stored_accepted=3,
        device=json.dumps({"score": "margin", "accept_at_least": 0.42}),
    )


def _bits(bits: int, swapped: int) -> BitFigures:
    counts = (*[0] * 20, swapped, *[0] * 29)
    return BitFigures(
        weight_bits=bits,
        activation_bits=8,
        simulated=bits < 7,
        images=_N,
        swapped=Share.count_of(swapped, _N),
        ties=0,
        error_change=swapped / 2 / _N,
        ratio=0.5,
        right_before=0.75,
        right_after=0.25,
        kl=0.01,
        ece=0.05,
        median_confidence=0.41,
        extreme=0,
        swapped_confidence=counts,
        logit_change=0.1,
        lead=2.0,
    )


def _format(name: str) -> FormatFigures:
    few = Share.count_of(1, _N)
    return FormatFigures(name, 0.9, few, 0.001, 0.01, 0.02, 3, (FormatSet("clean", 0.0, few),))


def _strategy(name: str) -> StrategyFigures:
    few = Share.count_of(4, _N)
    more = {"clean": 3, "fog:3": -2} if name == "mixup" else {"clean": 0, "fog:3": 0}
    sets = tuple(StrategySet(at, 0.9, None, few, count, few) for at, count in more.items())
    return StrategyFigures(
        name, 0, 0.9, 0.89, 0.01, few, 0.05, few, None, 0.04, 4, 0.1, 0.4, sets=sets
    )


def _counted() -> Counted:
    return Counted(_N, 9, 9, 7, 6, 3, 4, 0.75, 0.4, None, (0.9, 0.91), None)


def _member(name: str) -> MemberFigures:
    return MemberFigures(name, 1, 0.9, Share.count_of(4, _N), 0.05, 0.01, 3, 10, 0.4, None)


def seeds() -> Iterator[bytes]:
    """A report of all studies, ones of few, and none."""
    whole = report()
    for names in (tuple(whole.results), ("shifts",), ("guard", "bits"), ()):
        some = {name: whole.results[name] for name in names}
        settings = {name: whole.settings[name] for name in names}
        part = replace(whole, results=some, settings=settings, skipped={"bits": "why"})
        yield json.dumps(part.to_json()).encode()
    yield b"{}"


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """JSON that stays JSON."""
    return mutate_json(data, most, seed)


def entry(data: bytes) -> None:
    """Read a report, and say all that a page says of it."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return
    with only_compd_errors():
        found = study_of(content, "study.json")
        if found is None:
            return
        headline, section = headline_of_studies([found]), section_of_study(1, found)
        said = [*headline.sentences, *headline.below, section.title]
        said += [text for fact in section.facts for text in fact]
        for part in section.parts:
            said += [part.title, *part.lines, part.code]
            said += [text for title, picture, note in part.charts for text in (title, note)]
            if any("nan" in picture for _, picture, _ in part.charts):
                raise Broken("expected numbers in a picture, got nan")
            said += [text for one in part.tables for row in one.rows for text in row]
        for text in said:
            if printable(text) != text:
                raise Broken(f"expected printable text on a page, got {text!r:.80}")
