"""The first screen of a page: a judgement a model, the worst class, what to type next."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from test_page_results import CAMPAIGN, FILES, GATE, REPAIR
from tiny_corpora import answer

from compd.report.page import Place, results_of, write_page
from compd.report.page.first import first_of
from compd.report.page.judgement import judge_campaign, judge_corpus
from compd.report.page.panels import panel_of, panel_of_gate
from compd.report.page.place import Seen, Status, deviating
from compd.report.page.shown import CampaignShown, GateShown
from compd.report.page.steps import steps_of
from compd.report.page.suffering import suffering_of


def of_class(seeds: int, found: int, sure: int = 0, **becomes: int) -> dict[str, Any]:
    counts = {"seeds": seeds, "effective": found, "sure": sure, "very_sure": 0}
    return {**counts, "severity_max": 0.9 if sure else 0.3 if found else None, "becomes": becomes}


MILD = {"by_class": {"7": of_class(64, 54, b=54)}, "severity_max": 0.3}
MILD |= {"natural_disagreement": 0.0, "deployed_accuracy": 0.95}
MILD |= {"settings": CAMPAIGN["settings"] | {"goal": "severe"}}
NONE = MILD | {"by_class": {"7": of_class(64, 0)}, "seeds_effective": 0, "severity_max": None}
SURE = MILD | {"by_class": {"7": of_class(64, 54, 5, b=54)}, "severity_max": 0.9}


def shown(changes: dict[str, Any]) -> CampaignShown:
    (found,) = results_of(CAMPAIGN | changes, "r")
    assert isinstance(found, CampaignShown)
    return found


FINE = "No sure flip was found. Nothing here speaks against shipping."


@pytest.mark.parametrize(
    ("changes", "tone", "said"),
    [
        (NONE, "good", FINE),
        (MILD, "mild", FINE),
        (SURE, "bad", "5 sure flips. Look at them; repair or gate before shipping."),
        (
            SURE | {"by_class": {"7": of_class(64, 54, 1, b=54)}},
            "bad",
            "1 sure flip. Look at them; repair or gate before shipping.",
        ),
        (
            SURE | {"deployed_accuracy": 0.85, "natural_disagreement": 0.1},
            "bad",
            "Accuracy is lost, from 95.0 % to 85.0 %. Mend the model before shipping.",
        ),
        (  # no more than chance has
            NONE | {"deployed_accuracy": 0.9375, "natural_disagreement": 2 / 160},
            "mild",
            "No sure flip was found, but 2 of 160 untouched images get another answer. ",
        ),
        (
            NONE | {"stopped": "time"},
            "mild",
            "No sure flip was found, but the search was cut short",
        ),
        (
            MILD | {"settings": CAMPAIGN["settings"]},
            "mild",
            "No sure flip was found, but the search was not for any. Use --goal severe.",
        ),
        (
            NONE | {"original_accuracy": None, "deployed_accuracy": None},
            "good",
            "No sure flip was found. Accuracy is not known, since nobody labelled the images.",
        ),
        (NONE | {"seeds": 0}, "none", "Nothing was searched. This says nothing yet."),
    ],
)
def test_the_first_rule_that_fits_judges(changes: dict[str, Any], tone: str, said: str) -> None:
    judged = judge_campaign(shown(changes), ())
    assert judged.tone == tone
    assert judged.text.startswith(said)


def test_each_rule_is_written_down() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "report.md").read_text().split())
    for said in (
        "Nothing was searched",
        "Accuracy is lost",
        "sure flips. Look at them; repair or gate before shipping",
        "untouched images get another answer",
        "the search was cut short",
        "the search was not for any",
        "Nothing here speaks against shipping",
    ):
        assert said in text


def test_results_that_do_not_count_sure_flips_are_judged_by_the_entries(make_corpus) -> None:
    records = deviating(make_corpus(20, pictures=0))
    sure = len({one.seed_sha256 for one in records if one.severity >= 0.495})
    old = shown(SURE | {"by_class": None})
    assert judge_campaign(old, records).text.startswith(f"{sure} sure flip")
    assert judge_campaign(old, ()).text.startswith("1 sure flip")  # one at least: the worst
    assert judge_corpus(records).tone == "bad"
    assert judge_corpus(records[-1:]).tone == ("bad" if records[-1].severity >= 0.5 else "mild")
    assert judge_corpus(()).tone == "none"


def test_a_panel_says_what_was_seen_and_what_it_does_not_show() -> None:
    panel = panel_of("c1", shown(SURE), ())
    lines = {line.name: line for line in panel.lines}
    assert panel.full == "pruned, weights set to zero, then fine-tuned"
    assert lines["untouched images"].said == (
        "0 of 160 get another answer (at most 2.3 % with 95 % confidence)."
    )
    assert lines["worst-case search"].said == (
        "54 of 64 images flip within 16/255 (each value of a pixel moved by 6.3 % at most); on 5, "
        "both models are sure, and on 0 over 90 % sure."
    )
    assert "not met in use" in lines["worst-case search"].means
    nothing = panel_of("c1", shown(NONE), ()).lines[2]
    assert "none of 64 images flips" in nothing.said
    assert "does not prove that there is nothing" in nothing.means
    assert "worst class" not in {line.name for line in panel_of("c1", shown(NONE), ()).lines}
    some = panel_of("c1", shown(SURE | {"natural_disagreement": 4 / 160}), ()).lines[0].said
    assert some == "4 of 160 get another answer (1.0 to 6.3 % with 95 % confidence)."


def test_a_gates_panel_has_what_it_measured() -> None:
    (gate,) = results_of(GATE, "g")
    assert isinstance(gate, GateShown)
    panel = panel_of_gate(gate)
    assert panel is not None
    assert [line.name for line in panel.lines] == [
        "untouched images",
        "accuracy",
        "worst-case search",
    ]
    assert panel.lines[0].said == (
        "1 of 9 get another answer (below 40.00 % with 95 % confidence)."
    )
    (nothing,) = results_of(GATE | {"clean": None, "search": None}, "g")
    assert isinstance(nothing, GateShown)
    assert panel_of_gate(nothing) is None


def test_the_worst_class_is_that_of_the_surest_share() -> None:
    counts = {
        "3": of_class(1, 1, b=1),
        "1": of_class(9, 8, 6, **{"8": 5, "5": 3}),
        "2": of_class(9, 4, 4, b=4),
        "0": of_class(5, 0),
    }
    found = suffering_of(shown(SURE | {"by_class": counts}), ())
    assert [row.name for row in found.rows] == ["1", "3", "2", "0"]
    assert found.worst == (
        "Class “1” suffers most: 8 of its 9 seeds flip, 6 of them surely; "
        "to 8 (5 times), 5 (3 times)."
    )
    assert found.targets.startswith("The 13 flips end most often in b (5 times), 8 (5 times)")
    assert (found.known, found.left) == (True, "")
    share = found.rows[0].share
    assert share is not None
    assert (share.count, share.of) == (8, 9)
    few = suffering_of(shown(SURE | {"by_class": counts}), (), most=2)
    assert few.left == "2 other classes, with 4 flips."


def test_no_class_suffers_most_where_each_has_one_seed() -> None:
    counts = {name: of_class(1, 1, 1, other=1) for name in ("owl", "hen", "crow")}
    counts["rook"] = of_class(1, 0)
    found = suffering_of(shown(SURE | {"by_class": counts}), ())
    assert found.worst.startswith("No class stands out: in 3 of them as many seeds flip")


def test_without_a_result_each_class_is_counted_in_the_corpus(make_corpus) -> None:
    def change(number: int) -> dict[str, Any]:  # two deviations of each seed
        return {"seed_sha256": f"{number // 2:064x}", "original": answer(3, "cat", 0.9)}

    records = deviating(make_corpus(6, pictures=0, change=change))
    found = suffering_of(None, records)
    (row,) = found.rows
    assert (row.name, row.share, row.found, found.known) == ("cat", None, 3, False)
    assert row.severity == records[0].severity
    assert "Class “cat” suffers most: 3 seeds flip" in found.worst


def corpus_of(make_corpus: Any, name: str, count: int = 3, options: str = "--pair p") -> Seen:
    place = Place(make_corpus(count, name, pictures=0), options)
    return Seen(place, deviating(place.corpus), {})


def commands(seen: tuple[Seen, ...], *contents: dict[str, Any]) -> list[str]:
    results = tuple(one for content in contents for one in results_of(content, "r"))
    return [
        step.command.replace(str(seen[0].place.corpus.directory), "C")
        for step in steps_of(seen, results)
    ]


def test_what_next_follows_from_what_was_found(make_corpus) -> None:
    found = (corpus_of(make_corpus, "some"),)
    worst = found[0].records[0].sha256[:12]
    sure = CAMPAIGN | SURE
    assert commands(found, sure) == [
        f"compd corpus show {worst} --corpus C",
        "compd repair --pair p --corpus C",
        "compd gate --pair p --corpus C",
    ]
    files = sure | {"settings": FILES["settings"] | {"goal": "severe"}}
    assert [one.split()[1] for one in commands(found, files)] == ["corpus", "gate"]
    assert [one.split()[1] for one in commands(found)] == ["corpus", "gate"]
    mild = commands(found, CAMPAIGN | MILD)
    assert mild == [
        "compd baseline accept --pair p --all --reason 'mild: of none are both models sure' "
        "--corpus C",
        "compd gate --pair p --corpus C",
        "compd fuzz --pair p --seeds 256 --eps 16 --corpus C",
    ]
    empty = (corpus_of(make_corpus, "none", 0),)
    wider = "compd fuzz --pair p --seeds 256 --eps 32 --corpus C"
    assert commands(empty, CAMPAIGN | NONE) == [wider]
    assert commands(empty) == []
    assert commands((Seen(Place(empty[0].place.corpus), [], {}),), CAMPAIGN | NONE) == []
    repaired = commands(found, REPAIR)
    assert repaired == ["compd fuzz --pair p", "compd corpus verify --pair p --corpus C"]
    assert commands(found, REPAIR | {"best_round": 0}) == []


def test_what_next_of_a_gate_is_to_look_and_to_accept(make_corpus) -> None:
    own, new = corpus_of(make_corpus, "own"), corpus_of(make_corpus, "new", 2)
    hash_ = new.records[0].sha256
    seen = (own, Seen(new.place, new.records, {hash_: Status("new", "")}))
    gate = GATE | {"baseline": "x…'; rm -rf ~ #"}
    look, accept, again = commands(seen, gate)
    folder = new.place.corpus.directory
    assert look == f"compd corpus show {hash_[:12]} --corpus {folder}"
    words = shlex.split(accept)  # a stranger's result cannot leave its quotes
    assert words[-2:] == ["--baseline", "x…'; rm -rf ~ #"]
    assert words[words.index("--from") + 1] == str(folder)
    assert again.startswith("compd gate --pair p --corpus C --baseline ")


def test_the_first_finding_is_what_blocks_or_the_most_severe(make_corpus, tmp_path: Path) -> None:
    corpus, path = make_corpus(4), tmp_path / "page.html"
    worst = deviating(corpus)[0]
    write_page(path, corpus, (), options="--model 'a b'")
    text = path.read_text("utf-8")
    begin = text[text.index('class="worst"') : text.index('class="corpus"')]
    assert f"images/{worst.sha256[:2]}/{worst.sha256}.png --model &#39;a b&#39;</code>" in begin
    assert f"<code>{Path.cwd().name}</code>" in begin
    assert str(Path.cwd()) not in begin
    assert "<code>verdict deviates</code>" in begin
    last = deviating(corpus)[-1]
    deviations = [{"sha256": last.sha256, "status": "new", "severity": 0.1}]
    write_page(path, corpus, results_of(GATE | {"deviations": deviations}, "g"))
    text = path.read_text("utf-8")
    assert last.sha256 in text[text.index('class="worst"') : text.index('class="corpus"')]
    assert first_of((), ()) is None


def test_shown_severities_are_what_the_filter_goes_by(make_corpus, tmp_path: Path) -> None:
    corpus = make_corpus(4, change=lambda n: {"severity": (0.8951, 0.8949, 0.9, 0.1)[n]})
    path = tmp_path / "page.html"
    write_page(path, corpus, ())
    text = path.read_text("utf-8")
    shown_ = re.findall(r'<p class="measure"><b>severity ([\d.]+)</b>', text)
    assert (
        shown_ == re.findall(r'data-severity="([\d.]+)"', text) == ["0.90", "0.90", "0.89", "0.10"]
    )


def test_seeds_are_said_to_be_the_first_that_fit() -> None:
    rows = {"rows": {"seeds": "all[1079:1438]"}}
    assert shown(rows).chosen == (
        "64 of 359 images (rows all[1079:1438]): the first on which both models agree"
    )
    aside = {"settings": CAMPAIGN["settings"] | {"wrong_seeds": "aside", "flip": "a:b"}}
    assert shown(rows | aside).chosen.endswith("and the original is right, of the flip a:b")
    assert shown({"rows": {"seeds": "odd"}}).chosen.startswith("64 images (rows odd)")


@pytest.mark.parametrize(
    "change",
    [
        {"7": of_class(3, 4)},
        {"7": of_class(3, 3, 4)},
        {"7": 3},
        {"7": {}},
        [],
        {"7": of_class(3, 3) | {"severity_max": 2}},
        {"7": of_class(3, 3) | {"becomes": {"1": "many"}}},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_counts_by_class_of_strangers_are_checked(change: Any, refuses: Any) -> None:
    with refuses("compd fuzz, gate, repair or study", "odd.json"):
        results_of(CAMPAIGN | {"by_class": change}, "odd.json")
