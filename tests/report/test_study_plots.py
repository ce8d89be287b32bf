"""Plots of studies hold the numbers that they were given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compd.report.plots import figures_of, write_plots
from compd.report.plots.shifts import plot_disagreement
from compd.report.plots.style import rendered
from compd.studies.metrics import SCORES
from targets import load

matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib (compd[plots])")

Refuses = Callable[..., Any]
REPORT = load("study_report").report()
FIGURES = figures_of(REPORT)


def line(axes: Any, label: str) -> tuple[list[float], list[float]]:
    found = next(one for one in axes.get_lines() if one.get_label() == label)
    return list(found.get_xdata()), list(found.get_ydata())


def test_every_study_of_the_papers_has_its_plots() -> None:
    assert set(FIGURES) == {
        *("shifts", "shifts-accuracy", "shifts-kl", "uncertainty", "uncertainty-roc"),
        *("calibration", "bits", "bits-swapped", "guard", "strategies"),
    }
    for figure in FIGURES.values():
        for axes in figure.axes:
            if axes.axison and axes.get_subplotspec().is_last_row():
                assert axes.get_xlabel() or figure.get_supxlabel()


def test_bars_are_disagreements_by_kind_and_level() -> None:
    (axes,) = FIGURES["shifts"].axes
    result = REPORT.results["shifts"]
    assert [one.get_text() for one in axes.get_yticklabels()] == ["awgn", "fog", "camera"]
    assert [one.get_text() for one in axes.get_yticklabels(minor=True)] == [
        *("0.1", "0.5"),
        *("1", "3", "5"),
    ]
    order = ("awgn:0.1", "awgn:0.5", "fog:1", "fog:3", "fog:5", "camera")
    bars = [one for one in axes.patches if one.get_height() == pytest.approx(0.86)]
    widths = [one.get_width() for one in bars]
    assert widths == pytest.approx([100 * result.of(name).disagreement.share for name in order])
    clean = result.clean.disagreement
    assert line(axes, "clean images")[0] == pytest.approx([100 * clean.share] * 2)
    segments = [one.get_segments() for one in axes.collections]
    ends = [(low[0], high[0]) for ((low, high),) in segments]
    shares = [result.of(name).disagreement for name in order]
    assert ends == [pytest.approx((100 * one.low, 100 * one.high)) for one in shares]


def test_levels_begin_with_clean_images() -> None:
    result = REPORT.results["shifts"]
    names = ("clean", "fog:1", "fog:3", "fog:5")
    sets = [result.clean, *(result.of(name) for name in names[1:])]
    panel = {axes.get_title(): axes for axes in FIGURES["shifts-accuracy"].axes}["fog"]
    for label, key in (("original", "accuracy_original"), ("deployed", "accuracy_deployed")):
        at, values = line(panel, label)
        assert at == [0, 1, 3, 5]
        assert values == pytest.approx([100 * getattr(one, key) for one in sets])
    panel = {axes.get_title(): axes for axes in FIGURES["shifts-kl"].axes}["fog"]
    (kl,) = panel.get_lines()
    assert list(kl.get_ydata()) == [one.kl for one in sets]
    assert panel.get_yscale() == "log"


def test_histograms_and_roc_are_the_results() -> None:
    margin = FIGURES["uncertainty"].axes[SCORES.index("margin")]
    agreeing, apart = (patch.get_data() for patch in margin.patches)
    assert agreeing.values == pytest.approx(100 * np.array((150, 48, *[0] * 18)) / 198)
    assert apart.values == pytest.approx([*[0] * 18, 50, 50])
    assert list(apart.edges) == pytest.approx(np.linspace(0, 1, 21))
    for axes in FIGURES["uncertainty-roc"].axes:
        assert line(axes, "margin 0.900") == ([0, 10, 100], [0, 50, 100])


def test_reliability_has_its_bins_and_the_histogram_its_images() -> None:
    above, _, below, _ = FIGURES["calibration"].axes
    (curve,) = [one for one in above.get_lines() if len(one.get_xdata()) == 2][1:]
    assert list(curve.get_xdata()) == pytest.approx([50, 90])
    assert list(curve.get_ydata()) == pytest.approx([40, 95])
    (bars,) = below.patches
    assert bars.get_data().values.sum() == pytest.approx(100)
    assert "ECE 5.0 %" in above.get_title()


def test_bits_and_guard_are_the_results() -> None:
    left, right = FIGURES["bits"].axes
    assert line(left, "lost accuracy")[1] == pytest.approx([0.5, 2.25, 10])
    assert left.xaxis_inverted()
    (ratio, _) = right.get_lines()
    assert list(ratio.get_ydata()) == [0.5] * 3
    counts = [axes.patches[0].get_data().values.sum() for axes in FIGURES["bits-swapped"].axes]
    assert counts == [2, 9, 40]
    above, below = FIGURES["guard"].axes
    curve = REPORT.results["guard"].curve
    assert line(above, "measured")[1] == pytest.approx([100 * one.disagreement for one in curve])
    assert line(below, "coverage")[1] == pytest.approx([100 * one.coverage for one in curve])
    for axes in (above, below):
        assert line(axes, "chosen: 0.42")[0] == [0.42, 0.42]


def test_strategies_are_next_to_the_standard_one() -> None:
    (axes,) = FIGURES["strategies"].axes
    assert line(axes, "mixup") == ([3, -2], [0, 1])
    assert [one.get_text() for one in axes.get_yticklabels()] == ["clean", "fog:3"]


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_result_gives_the_same_bytes(kind: str) -> None:
    one = rendered(figures_of(replace(REPORT, results=_some("shifts")))["shifts"], kind)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": "x"}):
        other = rendered(figures_of(replace(REPORT, results=_some("shifts")))["shifts"], kind)
    assert one == other
    assert one.startswith(b"\x89PNG" if kind == "png" else b"<?xml")
    for said in (b"matplotlib v", b"Matplotlib v", b"<dc:date>"):
        assert said not in one


def _some(*names: str) -> dict[str, Any]:
    return {name: REPORT.results[name] for name in names}


def test_names_of_strangers_are_text() -> None:
    for name in ("$\\frac{$", "a\nb\x1b[31m日本語", "</text><script>" + "x" * 5000):
        figure = plot_disagreement(load("study_report").report(camera=name).results["shifts"])
        assert b"<script>" not in rendered(figure, "svg")
        (label,) = [one.get_text() for one in figure.axes[0].get_yticklabels()][2:]
        assert len(label) <= 32
        assert label.isprintable()


def test_plots_are_written_as_files(tmp_path: Path) -> None:
    files = write_plots(replace(REPORT, results=_some("guard")), tmp_path / "new" / "plots")
    assert [one.name for one in files] == ["guard.png"]
    assert files[0].read_bytes() == rendered(FIGURES["guard"], "png")


def test_without_labels_or_disagreement_there_is_less_to_plot() -> None:
    shifts = REPORT.results["shifts"]
    bare = replace(shifts, clean=replace(shifts.clean, accuracy_original=None), sets=())
    report = replace(REPORT, results={"shifts": bare, "guard": REPORT.results["guard"]})
    assert set(figures_of(report)) == {"shifts", "guard"}


def test_what_cannot_be_drawn_is_told(
    tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refuses("plots='pdf'"):
        write_plots(REPORT, tmp_path, "pdf")
    (tmp_path / "file").write_text("")
    with refuses("file"):
        write_plots(replace(REPORT, results={}), tmp_path / "file")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with refuses("compd[plots]"):
        write_plots(REPORT, tmp_path)
