"""A study's plots as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compd.errors import SettingError
from compd.files.outputs import write_outputs
from compd.files.storage import disk_errors
from compd.report.plots.bits import plot_bits, plot_swapped
from compd.report.plots.calibration import plot_reliability
from compd.report.plots.guard import plot_guard
from compd.report.plots.shifts import plot_accuracy, plot_disagreement, plot_divergence
from compd.report.plots.strategies import plot_strategies
from compd.report.plots.style import rendered
from compd.report.plots.uncertainty import plot_histograms, plot_roc
from compd.studies.run import StudyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "figures_of", "write_plots"]

FORMATS = ("png", "svg")

_PLOTS: Mapping[str, Mapping[str, Callable[[Any], Figure | None]]] = {
    "shifts": {
        "shifts": plot_disagreement,
        "shifts-accuracy": plot_accuracy,
        "shifts-kl": plot_divergence,
    },
    "uncertainty": {"uncertainty": plot_histograms, "uncertainty-roc": plot_roc},
    "calibration": {"calibration": plot_reliability},
    "bits": {"bits": plot_bits, "bits-swapped": plot_swapped},
    "guard": {"guard": plot_guard},
    "strategies": {"strategies": plot_strategies},
}


def figures_of(report: StudyReport) -> dict[str, Figure]:
    """The figures of all studies that have some, by the name of their file.

    Raises:
        UnavailableError: if matplotlib is not installed; names the extra.
    """
    found = {}
    for study, result in report.results.items():
        for name, plot in _PLOTS.get(study, {}).items():
            figure = plot(result)
            if figure is not None:
                found[name] = figure
    return found


def write_plots(report: StudyReport, folder: Path, kind: str = "png") -> list[Path]:
    """Write the plots of a report into a folder, which is made if it is missing.

    Args:
        report: of a study.
        folder: where they go.
        kind: ``png`` or ``svg``.

    Returns:
        The files.

    Raises:
        CompdError: if matplotlib is not installed, the kind is another one, or the folder cannot
            be written.
    """
    if kind not in FORMATS:
        raise SettingError(f"{' or '.join(FORMATS)}", plots=kind)
    files = {
        folder / f"{name}.{kind}": rendered(figure, kind)
        for name, figure in figures_of(report).items()
    }
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_outputs(files)
    return list(files)
