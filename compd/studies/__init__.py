"""Studies: does it matter? What compression changes, where, and what may be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.studies.base import Study
    from compd.studies.bench import Bench, ImageSet
    from compd.studies.bits import Bits
    from compd.studies.calibration import Calibration
    from compd.studies.ensemble import Ensemble
    from compd.studies.formats import Formats
    from compd.studies.guard import Guard
    from compd.studies.retraining import Retraining
    from compd.studies.run import StudyReport, study
    from compd.studies.shifts import Shifts
    from compd.studies.strategies import Strategies
    from compd.studies.table import STUDIES
    from compd.studies.uncertainty import Uncertainty

__all__ = [
    "STUDIES",
    "Bench",
    "Bits",
    "Calibration",
    "Ensemble",
    "Formats",
    "Guard",
    "ImageSet",
    "Retraining",
    "Shifts",
    "Strategies",
    "Study",
    "StudyReport",
    "Uncertainty",
    "study",
]

_HOMES = {
    "STUDIES": "table",
    "Bench": "bench",
    "Bits": "bits",
    "Calibration": "calibration",
    "Ensemble": "ensemble",
    "Retraining": "retraining",
    "Strategies": "strategies",
    "Formats": "formats",
    "Guard": "guard",
    "ImageSet": "bench",
    "Shifts": "shifts",
    "Study": "base",
    "StudyReport": "run",
    "Uncertainty": "uncertainty",
    "study": "run",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
