"""All studies by name."""

from __future__ import annotations

from compd.registry import Registry
from compd.studies.base import Study
from compd.studies.bits import BITS
from compd.studies.calibration import CALIBRATION
from compd.studies.ensemble import ENSEMBLE
from compd.studies.formats import FORMATS
from compd.studies.guard import GUARD
from compd.studies.retraining import RETRAINING
from compd.studies.shifts import SHIFTS_STUDY
from compd.studies.strategies import STRATEGIES_STUDY
from compd.studies.uncertainty import UNCERTAINTY

__all__ = ["STUDIES"]

STUDIES: Registry[Study] = Registry(
    "study",
    {
        "shifts": SHIFTS_STUDY,
        "uncertainty": UNCERTAINTY,
        "calibration": CALIBRATION,
        "guard": GUARD,
        "bits": BITS,
        "formats": FORMATS,
        "strategies": STRATEGIES_STUDY,
        "retraining": RETRAINING,
        "ensemble": ENSEMBLE,
    },
    kind=Study,
    group="compd.studies",
)
