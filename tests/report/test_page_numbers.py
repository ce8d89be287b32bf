"""The figures of a page, next to the same ones counted from a corpus's lines by hand."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import torch
from test_page_results import CAMPAIGN, GATE, REPAIR
from tiny_corpora import answer

from compd.corpus import Corpus
from compd.data import UNKNOWN, Split
from compd.pair.evaluation import Evaluation
from compd.report.page.classes import classes_of
from compd.report.page.environment import environment_of
from compd.report.page.flips import histogram, matrix_of, success_of
from compd.report.page.gallery import chosen
from compd.report.page.headline import headline_of
from compd.report.page.history import history_of
from compd.report.page.place import Place, Seen, Status, campaign_for, deviating, statuses_of
from compd.report.page.results import results_of
from compd.report.page.tables import gate_tables, repair_tables


def lines_of(corpus: Corpus) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (corpus.directory / "metadata.jsonl").read_text().splitlines()
    ]


def test_a_matrix_counts_each_flip_and_its_worst(make_corpus) -> None:
    corpus = make_corpus(60, pictures=0)
    matrix = matrix_of(deviating(corpus))
    worst: dict[tuple[str, str], float] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines_of(corpus):
        flip = line["original"]["name"], line["deployed"]["name"]
        counts[flip] += 1
        worst[flip] = max(worst.get(flip, 0), line["severity"])
    found = {
        (row.name, column): cell
        for row in matrix.rows
        for column, cell in zip(matrix.columns, row.cells, strict=True)
        if cell.count
    }
    assert {flip: cell.count for flip, cell in found.items()} == counts
    assert {flip: cell.worst for flip, cell in found.items()} == worst
    assert matrix.total == sum(matrix.totals) == sum(row.total for row in matrix.rows) == 60
    assert matrix.summed == 0


def test_a_matrix_of_a_thousand_classes_sums_up_what_is_rare(make_corpus) -> None:
    def change(number: int) -> dict[str, Any]:
        source, target = (number * number) % 997, (number * 31) % 991
        return {
            "original": answer(source, f"class {source}", 0.5),
            "deployed": answer(target, f"class {target}", 0.5),
        }

    corpus = make_corpus(500, pictures=0, change=change)
    matrix = matrix_of(deviating(corpus))
    assert len(matrix.rows) == len(matrix.columns) == 13
    assert (matrix.rows[-1].name, matrix.columns[-1]) == ("other", "other")
    lines = lines_of(corpus)
    counts = Counter(line["original"]["name"] for line in lines)
    kept = {row.name: row.total for row in matrix.rows[:-1]}
    assert kept == {name: counts[name] for name in kept}
    assert sorted(kept.values()) == sorted(n for _, n in counts.most_common(12))
    assert sum(row.total for row in matrix.rows) == sum(matrix.totals) == 500
    sides = [len({line[who]["name"] for line in lines}) - 12 for who in ("original", "deployed")]
    assert matrix.summed == max(sides)


def test_matrices_of_few_classes_have_the_same_rows_and_columns(make_corpus) -> None:
    names = [str(k) for k in range(11)]
    for records in (deviating(make_corpus(5, pictures=0)), []):
        matrix = matrix_of(records, names)
        assert [row.name for row in matrix.rows] == list(matrix.columns) == names
        assert (matrix.total, matrix.summed) == (len(records), 0)
    strange = matrix_of(deviating(make_corpus(5, "other", pictures=0)), ["no such class"])
    assert "no such class" not in strange.columns


def test_a_histogram_takes_each_value_once_and_the_upper_ends() -> None:
    bars = histogram([0.0, 0.05, 0.051, 0.1, 1.0], 1.0)
    assert len(bars) == 20
    assert [bar.count for bar in bars[:2]] == [2, 2]
    assert bars[-1].count == 1
    levels = histogram([1, 1, 2, 16], 16, 16)
    assert [bar.count for bar in levels] == [2, 1, *[0] * 13, 1]


def test_success_counts_seeds_by_their_nearest_deviation(make_corpus) -> None:
    corpus = make_corpus(40, pictures=0)
    records = deviating(corpus)
    success = success_of(records, "linf", searched=64, found=40)
    nearest: dict[str, int] = {}
    for line in lines_of(corpus):
        seed = line["seed_file_name"]
        nearest[seed] = min(line["linf"], nearest.get(seed, 999))
    assert success.steps == tuple(
        (eps, sum(far <= eps for far in nearest.values())) for eps in sorted({*nearest.values()})
    )
    assert (success.seeds, success.searched) == (64, True)
    other = success_of(records, "linf", searched=64, found=12)  # the corpus has more than that
    assert (other.seeds, other.searched) == (40, False)


def evaluation(count: int, classes: int) -> Evaluation:
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes, (count,), generator=draw)
    exact = 0.5 * torch.nn.functional.one_hot(labels, classes).float()
    original, deployed = (
        exact + noise * torch.rand(count, classes, generator=draw) for noise in (0.6, 0.8)
    )
    images = torch.zeros(count, 3, 2, 2, dtype=torch.uint8)
    split = Split("tiny", "test", "test", 0, images, labels, torch.arange(count), False)
    return Evaluation(split, original, deployed)


def test_each_class_is_counted_on_clean_images() -> None:
    seen = evaluation(300, 10)
    found = classes_of(seen, [str(k) for k in range(10)])
    assert found is not None
    assert (found.rest, found.images, found.source) == (None, 300, "test[0:300]")
    labels = seen.split.labels.tolist()
    says = [one.argmax(1).tolist() for one in (seen.original, seen.deployed)]
    for k, row in enumerate(found.rows):
        of_class = [i for i, label in enumerate(labels) if label == k]
        right = [{i for i in of_class if said[i] == k} for said in says]
        assert row.name == str(k)
        assert row.images == len(of_class)
        assert [row.original.count, row.deployed.count] == [len(one) for one in right]
        assert row.negative.count == len(right[0] - right[1])
        assert row.negative.low <= row.negative.share <= row.negative.high
    assert sum(row.negative.count for row in found.rows) > 0


def test_of_many_classes_the_worst_are_named_and_the_others_summed() -> None:
    seen = evaluation(3000, 100)
    found = classes_of(seen, [f"c{k}" for k in range(100)], most=10)
    assert found is not None
    assert found.rest is not None
    assert (len(found.rows), found.rest.name) == (10, "90 other classes")
    assert sum(row.images for row in (*found.rows, found.rest)) == 3000
    least = min(row.negative.count for row in found.rows)
    assert least > 0
    negative = seen.right(seen.original) & ~seen.right(seen.deployed)
    counts = torch.bincount(seen.split.labels[negative], minlength=100).tolist()
    assert sorted(counts)[-10:] == sorted(row.negative.count for row in found.rows)


def test_images_that_nobody_labelled_have_no_classes() -> None:
    seen = evaluation(10, 3)
    seen.split.labels.fill_(UNKNOWN)
    assert classes_of(seen, ["a", "b", "c"]) is None


def test_a_gallery_has_what_blocks_then_each_flips_worst_then_the_worst(make_corpus) -> None:
    records = deviating(make_corpus(100, pictures=0))
    assert chosen(records, {}, 100) == records
    mildest = records[-1]
    shown = chosen(records, {mildest.sha256: Status("new", "")}, 40)
    assert len(shown) == 40
    assert shown[0] == mildest
    assert [r.severity for r in shown[1:]] == sorted((r.severity for r in shown[1:]), reverse=True)
    few = [r for r in records if r.original.name in "01"]  # of how many flips, all are there
    flips = {(r.original.name, r.deployed.name) for r in few}
    assert len(flips) < len(few)
    shown = chosen(few, {}, 2 * len(flips))
    assert {(r.original.name, r.deployed.name) for r in shown} == flips


def test_a_status_is_the_last_gates_or_else_the_baselines(make_corpus) -> None:
    corpus = make_corpus(3, pictures=0)
    records = deviating(corpus)
    first, second, third = (record.sha256 for record in records)
    assert statuses_of(Place(corpus), records, []) == {}
    place = Place(corpus, accepted={first: "known"})
    assert statuses_of(place, records, []) == {
        first: Status("accepted", "known"),
        second: Status("new", "not in the baseline"),
        third: Status("new", "not in the baseline"),
    }
    deviations = [{"sha256": first, "status": "flaky", "why": "w"}]
    gates = list(results_of(GATE | {"deviations": deviations}, "g"))
    assert statuses_of(place, records, gates)[first] == Status("flaky", "w")  # type: ignore[arg-type]


def test_a_search_belongs_to_the_corpus_that_it_filled(make_corpus) -> None:
    corpus, other = make_corpus(2, pictures=0), make_corpus(1, "other", pictures=0)
    mine, his = (
        results_of(CAMPAIGN | {"corpus": str(one.directory), "seeds": n}, "x")[0]
        for n, one in ((60, corpus), (70, other))
    )
    assert campaign_for(Place(corpus), (mine, his), alone=False) is mine
    assert campaign_for(Place(other), (mine, his), alone=False) is his
    assert campaign_for(Place(corpus), (his,), alone=False) is None
    assert campaign_for(Place(corpus), (his,), alone=True) is his  # it may have been moved
    model = {"fingerprint": {"deployed_sha256": "1" * 64}}
    (strange,) = results_of(CAMPAIGN | {"corpus": "gone"} | model, "x")
    assert campaign_for(Place(corpus), (strange,), alone=True) is None


def headline(*contents: dict[str, Any], seen: tuple[Seen, ...] = ()) -> Any:
    return headline_of(seen, tuple(one for c in contents for one in results_of(c, "r")))


def test_the_verdict_is_that_of_the_last_result(make_corpus) -> None:
    corpus = make_corpus(3, pictures=0)
    records = deviating(corpus)
    seen = (Seen(Place(corpus), records, {records[1].sha256: Status("new", "")}),)
    gate = headline(CAMPAIGN, GATE, seen=seen)
    assert gate.sentences == ("Gate failed: 1 new deviation, 1 limit does not hold.",)
    assert gate.tone == "bad"
    assert gate.below[0].startswith(f"Worst of what is new: {records[1].original.name} (")
    repair = headline(GATE, REPAIR, seen=seen)
    said = "Repaired: 3 → 3 of 40 held-out images flip; accuracy 80.0 % → 85.0 %."
    assert (repair.sentences, repair.tone) == ((said,), "mild")
    search = headline(GATE, CAMPAIGN, seen=seen)
    assert search.sentences == (
        "pruned: 50 sure flips. Look at them; repair or gate before shipping.",
    )
    assert search.tone == "bad"
    clean = GATE | {"exit_code": 0, "counts": {"accepted": 2}, "failures": {}, "deviations": []}
    assert headline(clean).sentences == ("Gate passed: nothing new deviates.",)
    assert headline(clean).tone == "good"


def test_a_corpus_alone_says_what_it_holds(make_corpus) -> None:
    corpus = make_corpus(3, pictures=0)
    records = deviating(corpus)
    (said,) = headline(seen=(Seen(Place(corpus), records, {}),)).sentences
    assert said.startswith("pruned: 3 images flip within 16/255; worst: 0 (99 % sure) becomes 1")
    empty = make_corpus(0, "empty")
    nothing = headline(seen=(Seen(Place(empty), [], {}),))
    assert nothing.sentences == ("Nothing found: the corpus is empty.",)
    assert nothing.tone == "none"


def printed(compress: str, torch_: str, name: str, **more: Any) -> Any:
    prints = {"torch": torch_, **more}
    how = {"compress": compress, "fingerprint": prints, "corpus": "gone"}
    kind = {"settings": CAMPAIGN["settings"] | {"compress": {"kind": compress}}}
    return results_of(CAMPAIGN | how | kind, name)[0]


def test_what_changed_of_the_environment_comes_first() -> None:
    old = printed("prune", "2.13.0", "old.json", engine="fp32", threads=2)
    new = printed("prune", "2.13.1", "new.json", engine="fp32", gpu="none")
    found = environment_of((old, new), ())
    assert (found.columns, found.changed) == (("pruned",), 3)
    assert found.notes == ("pruned: 3 values differ from old.json.",)
    assert {(row.key, *row.cells) for row in found.rows[:3]} == {
        ("torch", ("2.13.1", "2.13.0")),
        ("gpu", ("none", "–")),
        ("threads", ("–", "2")),
    }
    assert (found.rows[3].key, found.rows[3].cells) == ("engine", (("fp32", ""),))


def test_two_pairs_of_one_run_have_a_column_each_and_are_not_compared() -> None:
    int8, pruned = (
        printed(kind, "2.13.0", "this run", engine=engine)
        for kind, engine in (("qat", "x86"), ("prune", "fp32"))
    )
    found = environment_of((int8, pruned), ())
    assert (found.columns, found.changed, found.notes) == (("int8", "pruned"), 0, ())
    cells = {row.key: row.cells for row in found.rows}
    assert cells["engine"] == (("x86", ""), ("fp32", ""))
    later = environment_of((int8, pruned, printed("qat", "2.14.0", "b", engine="x86")), ())
    assert later.notes == ("int8: 1 value differs from this run.",)


def test_a_run_is_compared_with_the_entries_of_its_own_corpus(make_corpus) -> None:
    corpus, other = make_corpus(2, pictures=0), make_corpus(1, "other", pictures=0)
    seen = tuple(Seen(Place(one), deviating(one), {}) for one in (corpus, other))
    content = CAMPAIGN | {"corpus": str(corpus.directory), "fingerprint": {"torch": "2.13.1"}}
    (mine,) = results_of(content, "mine")
    (his,) = results_of(GATE | {"fingerprint": {}}, "gate")
    found = environment_of((mine, his), seen)
    assert found.notes == ("pruned: 3 values differ from the stored entries.",)
    assert found.rows[0].cells == (("2.13.1", "2.13.0"),)
    stored = environment_of((), seen)
    assert (stored.columns, stored.changed) == (("the stored entries",), 0)
    assert {row.key: row.cells[0][0] for row in stored.rows}["torch"] == "2.13.0"


def test_a_history_has_a_line_a_result_where_there_are_several() -> None:
    results = tuple(results_of(c, n)[0] for c, n in ((CAMPAIGN, "a"), (GATE, "b"), (REPAIR, "c")))
    assert history_of(results[:1]) == []
    assert history_of(results_of({"results": [CAMPAIGN, CAMPAIGN]}, "this run")) == []
    search, gate, repair = history_of(results)
    assert (search.found, search.share, search.severity) == ("54 of 64 seeds", 54 / 64, "0.90")
    assert (gate.found, gate.severity) == ("new deviations: 1 new", "0.40")
    assert (repair.found, repair.accuracy) == ("3 → 3 of 40 seeds", "80.0 % → 85.0 %")


def test_the_tables_of_a_gate_and_a_repair_have_before_and_after() -> None:
    (gate,), (repair,) = results_of(GATE, "g"), results_of(REPAIR, "r")
    tables = {table.title: table for table in gate_tables(gate)}  # type: ignore[arg-type]
    assert tables["What does not hold"].rows == (("max-accuracy-drop", "lost"),)
    severity = next(table for title, table in tables.items() if title.startswith("Severity"))
    assert severity.rows[0][2:] == ("0.200", "0.500", "+0.300")
    assert severity.rows[1] == ("test[1]", "1 → 7", "0.10", "0.90", "+0.80")
    first, fresh, attack, by_class = repair_tables(repair)  # type: ignore[arg-type]
    assert first.rows[0][0] == "accuracy"
    assert first.rows[0][1].startswith("80.0 % (")
    assert fresh.rows[0][3] == "50.0 → 10.0 %"
    assert attack.rows == (("FGSM 2/255", "80.0 %", "80.0 %", "90.0 %"),)
    assert by_class.rows == (("cat", "80.0 %", "85.0 %", "90.0 %", "+5.0"),)
