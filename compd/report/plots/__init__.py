"""Plots of studies, by matplotlib (the extra ``plots``): results in, figures and files out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.report.plots.writing import FORMATS, figures_of, write_plots

__all__ = ["FORMATS", "figures_of", "write_plots"]

_HOMES = dict.fromkeys(__all__, "writing")

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
