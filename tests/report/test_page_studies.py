"""Studies on a page: their figures, alone and beside a corpus; what strangers wrote is text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_page_results import CAMPAIGN, GATE
from test_page_strangers import HOSTILE, Page

from compd.report.page import results_of, write_page
from compd.report.page.steps import steps_of_study
from compd.report.page.studies import read_study, section_of_study, study_of
from compd.report.page.studies.charts import ticks_to
from compd.studies import StudyReport
from targets import load

Refuses = Callable[..., Any]
made: Callable[..., StudyReport] = load("study_report").report
REPORT = made()


def test_a_page_of_a_study_alone_has_all_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert write_page(path, None, (), studies=[REPORT]) == 0
    page = Page(path)
    text = " ".join(page.text)
    assert "lenet5 on camera: other answers on 1.00 % of clean images, and on 15.00 %" in text
    parts = [part.title for part in section_of_study(1, REPORT).parts]
    assert len(parts) == len(REPORT.results) == 9
    assert all(part in text for part in parts)
    assert page.cards() == 0
    charts = [one for one in page.all("svg") if one.get("class") == "chart"]
    assert len(charts) == 2 + 1 + 2 + 1  # shifts, calibration, guard, bits
    assert all(one["role"] == "img" and one["aria-label"] for one in charts)
    assert [one["id"] for one in page.all("section") if "id" in one] == ["s1"]


def test_a_study_says_what_to_type_next(tmp_path: Path) -> None:
    words = "--pair 'pairs/my own'"
    [store] = steps_of_study(REPORT, words)  # it has a guard
    assert store.command == f"compd fuzz {words} --strategy shift"
    results = {"shifts": REPORT.results["shifts"]}
    more = steps_of_study(replace(REPORT, results=results), words)
    assert [one.command for one in more][1:] == [f"compd study guard {words}"]
    assert steps_of_study(replace(REPORT, results={}), words) == ()
    assert steps_of_study(REPORT, "") == ()
    write_page(tmp_path / "page.html", None, (), studies=[REPORT], options=words)
    assert store.command in " ".join(Page(tmp_path / "page.html").text)


def test_figures_are_those_of_the_study() -> None:
    tables = {t.title: t for part in section_of_study(1, REPORT).parts for t in part.tables}
    sets = {row[0]: row for row in tables["Each set"].rows}
    assert list(sets)[:2] == ["clean", "awgn:0.5"]
    assert sets["fog:5"][1:5] == ("70.00 %", "-2.50", "10.00 % (6.6 to 14.9)", "10.0")
    losing = tables["Classes that lose, beyond chance"].rows
    assert losing[0] == ("cat on awgn:0.5", "100", "15", "0", "0.010")
    assert [row[0] for row in tables["Bits"].rows] == ["8", "5, simulated", "4, simulated"]
    guarded = tables["The guard, set by set"].rows
    assert [(row[0], row[4]) for row in guarded][2] == ("camera", "no")


def test_points_of_charts_are_where_their_axes_say() -> None:
    (title, picture, _), *_ = section_of_study(1, REPORT).parts[0].charts
    assert title == "Disagreement by shift"
    rows = len(REPORT.results["shifts"].sets)
    assert picture.count("<circle") == picture.count('class="whisker"') == rows
    assert "<title>awgn:0.5: 30 of 200</title>" in picture
    ticks = ticks_to(100 * max(one.disagreement.high for one in REPORT.results["shifts"].sets))
    right = 156 + (460 - 14 - 156) * 15 / ticks[-1]  # 15 % of 0 to the last tick
    assert f'cx="{right:.1f}"' in picture


@pytest.mark.parametrize(
    ("most", "low"), [(1.0, 0.0), (0.037, 0.0), (17.9, -0.4), (100.0, 0.0), (2e9, 0.0), (1e-9, 0.0)]
)
def test_ticks_hold_what_is_between_them(most: float, low: float) -> None:
    ticks = ticks_to(most, low)
    assert ticks[0] <= low + 1e-12
    assert ticks[-1] >= most * (1 - 1e-8)
    assert 3 <= len(ticks) <= 8


def test_a_study_stands_beside_a_corpus_and_leaves_it_the_verdict(
    make_corpus, tmp_path: Path
) -> None:
    corpus, path = make_corpus(5), tmp_path / "page.html"
    results = results_of(CAMPAIGN | {"corpus": str(corpus.directory)}, "fuzz")
    assert write_page(path, corpus, results, studies=[REPORT, REPORT]) == 5
    page = Page(path)
    assert page.cards() == 5
    assert [one["id"] for one in page.all("section") if "id" in one] == ["c1", "s1", "s2"]
    head = page.source[page.source.index("<h1>") : page.source.index("</header>")]
    assert "other answers" not in head


def test_names_of_strangers_are_text(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    plain = tmp_path / "plain.html"
    write_page(plain, None, (), studies=[REPORT])
    tags = sorted(tag for tag, _ in Page(plain).tags)
    for one in HOSTILE:
        report = made(names=(one, "dog"), camera=one)
        skipped = {"bits": one}
        report = replace(report, skipped=skipped, left_out=(one,), rows=one)
        study = study_of(json.loads(json.dumps(report.to_json())), "study.json")
        assert study is not None
        write_page(path, None, (), studies=[study])
        page = Page(path)
        assert sorted({tag for tag, _ in page.tags}) == sorted({*tags})
        assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
        assert not any("style" in attrs for _, attrs in page.tags)
        assert len(page.source) < 200_000


def test_what_is_no_study_is_none_and_a_broken_one_is_refused(
    tmp_path: Path, refuses: Refuses
) -> None:
    whole = json.loads(json.dumps(REPORT.to_json()))
    for other in (CAMPAIGN, GATE, {}, [], None, 3):
        assert study_of(other, "odd.json") is None
    shifts = whole["shifts"]
    for broken in (
        whole | {"images": "many"},
        whole | {"sets": [3]},
        whole | {"guard": {}},
        whole | {"skipped": []},
        whole | {"shifts": shifts | {"better": float("nan")}},
        whole | {"shifts": shifts | {"better": 10**400}},
        whole | {"shifts": shifts | {"clean": None}},
        whole | {"settings": {"unknown": {}}, "unknown": {}},
    ):
        with refuses("compd study", "odd.json"):
            study_of(broken, "odd.json")
    path = tmp_path / "study.json"
    path.write_text(json.dumps(whole))
    assert read_study(path) == REPORT
    path.write_text("{")
    assert read_study(path) is None
    with refuses("gone.json", "No such file"):
        read_study(tmp_path / "gone.json")


def test_a_page_of_a_study_fits_small_and_large_screens(tmp_path: Path, open_page) -> None:
    path = tmp_path / "page.html"
    write_page(path, None, (), studies=[made(names=HOSTILE[:2], camera=HOSTILE[9])])
    opened = open_page(path)
    for width in (400, 1400):
        opened.page.set_viewport_size({"width": width, "height": 900})
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width
