"""Which entries stand for a corpus: all kinds are kept, and near-duplicates are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CPU, tiny_original, tiny_pair, tiny_spec, tiny_splits
from tiny_files import onnx_files, photos
from torch import Tensor

from compd.cli.wording import as_options
from compd.compress import Prune, Ptq
from compd.corpus import Corpus, Record, Subset, collect, select_subset
from compd.errors import CompdError
from compd.images import distances, pixel_hash
from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.search import Campaign, Diva, SearchSettings, Verdict

MakeEntry = Callable[..., tuple[Record, Tensor, Tensor]]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return tiny_pair(Ptq(weight_bits=4))


@pytest.fixture(scope="module")
def corpus(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("select_subset") / "corpus"
    settings = SearchSettings(strategy=Diva(steps=6), eps=8, keep="valid")
    store = Corpus(folder, create=True)
    assert sum(collect(Campaign(pair, tiny_splits().seeds, settings), store)) > 0
    return store


def flips(records: Any) -> set[tuple[int, int]]:
    return {(record.seed_label, record.deployed.label) for record in records}


def effective(corpus: Corpus) -> list[Record]:
    return [record for record in corpus if record.verdict is Verdict.EFFECTIVE]


def alone(corpus: Corpus, record: Record, pair: Pair, folder: Path) -> Subset:
    """The same entry in a corpus of its own."""
    one = Corpus(folder / record.sha256, create=True)
    one.add([(record, corpus.image(record), corpus.seed_image(record))])
    return select_subset(one, pair)


def test_one_entry_of_each_kind_is_the_most_severe(
    corpus: Corpus, pair: Pair, tmp_path: Path
) -> None:
    pair.batch = 16
    subset = select_subset(corpus, pair)
    assert subset.left_out == {}
    assert subset.layers == 2
    entries = effective(corpus)
    assert len(subset.chosen) == len(subset.kinds) < len(entries)
    assert sum(subset.kinds.values()) == sum(subset.stands_for.values()) == len(entries)
    assert flips(subset.chosen) == flips(entries)
    members: dict[Any, list[Record]] = {}
    for record in entries[:40]:
        (kind,) = alone(corpus, record, pair, tmp_path).kinds
        assert (kind.original, kind.deployed) == (record.seed_label, record.deployed.label)
        members.setdefault(kind, []).append(record)
    for kind, group in members.items():
        (best,) = [
            record
            for record in subset.chosen
            if kind in alone(corpus, record, pair, tmp_path / "chosen").kinds
        ]
        assert best.severity >= max(record.severity for record in group)
    assert len(members) > 1


def test_the_subset_is_the_same_in_any_batch(corpus: Corpus, pair: Pair) -> None:
    for keep in ("kinds", "distinct"):
        subsets = []
        for batch in (5, None):
            pair.batch = batch
            subsets.append(select_subset(corpus, pair, keep=keep))
        assert subsets[0] == subsets[1]


def test_distinct_entries_are_far_from_each_other(corpus: Corpus, pair: Pair) -> None:
    kinds, subset = select_subset(corpus, pair), select_subset(corpus, pair, keep="distinct")
    assert {r.sha256 for r in kinds.chosen} <= {r.sha256 for r in subset.chosen}
    assert len(kinds.chosen) < len(subset.chosen) < len(effective(corpus))  # steps of one seed
    assert subset.kinds == kinds.kinds
    assert sum(subset.stands_for.values()) == len(effective(corpus))
    # every seed's deviations of one flip and layer are near-duplicates of one that is kept
    assert max(Counter(subset.stands_for).values()) > 1
    assert {r.seed_sha256 for r in subset.chosen} == {r.seed_sha256 for r in effective(corpus)}


def test_near_duplicates_are_closer_to_each_other_than_to_their_seed(
    make_entry: MakeEntry, pair: Pair, tmp_path: Path
) -> None:
    _, _, seed = make_entry(0, size=16)
    corpus = Corpus(tmp_path / "corpus", create=True)

    def add(number: int, image: Tensor, severity: float) -> str:
        far = distances(image[None], seed[None])
        record, _, _ = make_entry(
            number,
            sha256=pixel_hash(image),
            seed_sha256=pixel_hash(seed),
            seed_label=0,
            l2=float(far.l2[0]),
            severity=severity,
        )
        object.__setattr__(record.deployed, "label", 1)
        corpus.add([(record, image, seed)])
        return record.sha256

    def changed(*rows: int) -> Tensor:
        image = seed.clone()
        image[:, list(rows)] ^= 64
        return image

    mild = add(0, changed(0, 1, 2, 3), 0.1)
    severe = add(1, changed(0, 1, 2, 4), 0.9)  # shares most of its change with the first
    other = add(2, changed(8, 9, 10, 11), 0.5)  # shares nothing
    one_kind = len(select_subset(corpus, pair).kinds) == 1
    subset = select_subset(corpus, pair, keep="distinct")
    chosen = {record.sha256 for record in subset.chosen}
    assert other in chosen
    assert severe in chosen
    assert (mild not in chosen) or not one_kind


def test_the_layer_is_the_one_that_was_broken(tmp_path: Path) -> None:
    shadow = tiny_original()
    with torch.no_grad():
        shadow.net.conv2.weight[3].zero_()  # the first activation's inputs stay as they were
    pair = Pair(tiny_spec(Prune()), tiny_original(), shadow, device=CPU)
    corpus = Corpus(tmp_path / "corpus", create=True)
    settings = SearchSettings(strategy=Diva(steps=8), eps=8)
    assert sum(collect(Campaign(pair, tiny_splits().seeds, settings), corpus)) > 0
    risen = {kind.layer for kind in select_subset(corpus, pair).kinds}
    # an entry on which no share rose counts for the first layer
    assert 1 in risen
    assert select_subset(corpus, pair).kinds == dict(
        sorted(select_subset(corpus, pair).kinds.items(), key=lambda item: -item[1])
    )


def test_damaged_entries_are_named(make_entry: MakeEntry, pair: Pair, tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "corpus", create=True)
    corpus.add([make_entry(0, size=8), make_entry(1, size=16)])
    subset = select_subset(corpus, pair)
    assert subset.chosen == ()
    reasons = list(subset.left_out.values())
    assert "--size 16" in as_options(reasons[0])
    assert "3 classes" in reasons[1]


def test_senseless_arguments_are_refused(corpus: Corpus, pair: Pair) -> None:
    with pytest.raises(CompdError, match="did you mean 'kinds'"):
        select_subset(corpus, pair, keep="kind")
    with pytest.raises(CompdError, match="batch=0"):
        pair.batch = 0


def test_files_whose_layers_do_not_match_are_told_apart_by_flips(tmp_path: Path) -> None:
    original, deployed = onnx_files()
    pair, splits = pair_of_files(original, deployed, data=str(photos()))
    corpus = Corpus(tmp_path / "corpus", create=True)
    settings = SearchSettings(strategy=Diva(steps=8), limit=24)
    assert sum(collect(Campaign(pair, splits.seeds, settings), corpus))
    chosen = select_subset(corpus, pair)
    assert flips(chosen.chosen) == flips(effective(corpus))
    if not chosen.layers:
        assert len(chosen.chosen) == len(flips(effective(corpus)))
        assert "activation functions" in chosen.note
