"""The JSON of ``compd study``, which may come from a stranger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from compd.errors import CompdError, InputError
from compd.files.reading import read_whole
from compd.studies.run import StudyReport

__all__ = ["read_study", "study_of"]

_LARGEST = 256 << 20  # bytes of a file
_MOST = 2_000_000  # values in it
_RANGE = 1e15


def read_study(path: Path) -> StudyReport | None:
    """Read a file of ``compd study --json``; None if it is of something else.

    Raises:
        CompdError: if it cannot be read, or is of a study with other values than a study has.
    """
    try:
        content = json.loads(read_whole(path, _LARGEST))
    except OSError as error:
        raise InputError(f"expected to read json={str(path)!r}, got: {error.strerror}") from error
    except (ValueError, RecursionError):
        return None  # whoever reads results says so
    return study_of(content, str(path))


def study_of(content: object, name: str) -> StudyReport | None:
    """The same, from an object.

    Args:
        content: the object.
        name: of what it was read from, for messages.
    """
    if not isinstance(content, Mapping) or not {"deployed_sha256", "skipped"} <= {*content}:
        return None
    try:
        _check(content)
        report = StudyReport.from_json(content)
        _check_head(report)
    except (CompdError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"expected the JSON of compd study (--json FILE), got something else in {name}: {error}"
        ) from error
    return report


def _check(content: object) -> None:
    """Raise unless all numbers are finite and of bearable size, and there are not too many."""
    waiting, seen = [content], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > _MOST:
            raise InputError(f"expected at most {_MOST} values")
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, int | float) and not (-_RANGE <= value <= _RANGE):
            raise InputError("expected finite numbers of bearable size")
        elif isinstance(value, float) and not isfinite(value):
            raise InputError("expected finite numbers")


def _check_head(report: StudyReport) -> None:
    """Raise unless what stands around the results is of its kind."""
    texts = (report.pair, report.rows, report.original_sha256, report.deployed_sha256)
    lists = (*report.sets, *report.left_out, *report.skipped, *report.skipped.values())
    numbers = (report.images, report.random_seed)
    wrong: list[Any] = [one for one in (*texts, *lists) if not isinstance(one, str)]
    wrong += [one for one in numbers if type(one) is not int]
    if wrong:
        raise InputError(f"expected other values than {wrong[0]!r:.60}")
