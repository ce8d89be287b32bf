"""What a corpus looks like from outside: numbers, pictures, and other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from compd.corpus import Corpus, CorpusStats, Record, RowsUsed, rows_used, stats
from compd.images import pixel_hash
from compd.report import contact_sheet, enlarged
from compd.search.findings import Answer
from compd.search.judge import Verdict

MakeEntry = Callable[..., tuple[Record, Tensor, Tensor]]


def test_stats_of_nothing() -> None:
    assert stats([]) == CorpusStats(0, 0, 0, 0, None, None, None, None, None, {}, {}, 0)


def test_stats_measure_the_effective_entries(make_entry: MakeEntry) -> None:
    valid: dict[str, Any] = {"verdict": Verdict.VALID, "severity": 0.0, "linf": 9, "l2": 0.9}
    records = [
        make_entry(0, severity=0.1, linf=2, l2=0.1)[0],
        make_entry(1, severity=0.3, linf=7, l2=0.2)[0],
        make_entry(2, severity=0.5, linf=1, l2=0.3, fingerprint={"deployed_sha256": "1"})[0],
        make_entry(3, **valid, strategy={"name": "compd"})[0],
    ]
    records[1] = dataclasses.replace(records[1], seed_sha256=records[0].seed_sha256)
    numbers = stats(iter(records))
    assert (numbers.entries, numbers.effective, numbers.valid) == (4, 3, 1)
    assert numbers.seeds_effective == 2
    assert numbers.severity_median == pytest.approx(0.3)
    assert numbers.severity_p90 == pytest.approx(0.46)
    assert numbers.severity_max == pytest.approx(0.5)
    assert numbers.linf_max == 7
    assert numbers.l2_mean == pytest.approx(0.2)
    assert numbers.flips == {"cat → dog": 3}
    assert numbers.strategies == {"diva": 3, "compd": 1}
    assert list(numbers.strategies) == ["diva", "compd"]
    assert numbers.pairs == 2


def test_rows_are_named_by_data_set_and_part(make_entry: MakeEntry) -> None:
    seeds = ["test[7]", "test[3]", "test[4]", "test[3]", "train[0]", "photo 12", "test[-1]"]
    records = [make_entry(i, seed_row=row)[0] for i, row in enumerate(seeds)]
    records.append(make_entry(9, seed_data="digits", seed_row="all[5]")[0])
    used = rows_used(iter(records))
    assert used == (
        RowsUsed("digits", "all", 1, ("5:6",)),
        RowsUsed("random", "", 2, ()),
        RowsUsed("random", "test", 3, ("3:5", "7:8")),
        RowsUsed("random", "train", 1, ("0:1",)),
    )
    assert [str(part) for part in used] == [
        "digits all[5:6], 1 row",
        "random 2 rows",
        "random test[3:8], 3 rows",
        "random train[0:1], 1 row",
    ]
    assert stats(records).rows == used
    assert rows_used([]) == ()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [1, 8, 300])
def test_a_contact_sheet_has_one_row_an_entry(
    make_entry: MakeEntry, channels: int, size: int
) -> None:
    entries = [make_entry(number, channels=channels, size=size) for number in range(3)]
    one, three = contact_sheet(entries[:1]), contact_sheet(entries)
    assert three.mode == "RGB"
    assert three.width == one.width
    assert three.height == 3 * one.height
    assert three.crop((0, 0, *one.size)).tobytes() == one.tobytes()
    assert len(one.getcolors(one.width * one.height) or []) > 3  # something is drawn


def test_a_contact_sheet_shows_the_seed_and_the_deviation(make_entry: MakeEntry) -> None:
    record, image, seed = make_entry(0, size=2)
    sheet = contact_sheet([(record, image, seed)])
    colours = {colour for _, colour in sheet.getcolors(sheet.width * sheet.height) or []}
    for picture in (image, seed):
        assert {tuple(pixel) for pixel in picture.flatten(1).T.tolist()} <= colours


@pytest.mark.parametrize(("height", "width"), [(96, 192), (40, 10), (2, 300)])
def test_pictures_keep_their_shape(make_entry: MakeEntry, height: int, width: int) -> None:
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[0] = 255
    picture = enlarged(image, 192)
    assert max(picture.size) == 192
    assert abs(picture.width * height - picture.height * width) <= max(height, width)
    record, _, _ = make_entry(0)
    sheet = np.asarray(contact_sheet([(record, image, image)]))
    red = (sheet == (255, 0, 0)).all(2)
    columns = red.any(0).nonzero()[0]
    assert red.any(1).sum() == picture.height
    assert len(columns) == 2 * picture.width  # the seed and the deviation


def test_a_contact_sheet_draws_what_did_not_change(make_entry: MakeEntry) -> None:
    _, image, _ = make_entry(0)
    record, _, _ = make_entry(0, linf=0, l2=0.0, psnr=None, seed_sha256=pixel_hash(image))
    assert contact_sheet([(record, image, image)]).mode == "RGB"


@pytest.mark.parametrize("name", ["", "café ✓", "x" * 300, "two\nlines", "[bold]", "\x1b[31m\0"])
def test_a_contact_sheet_takes_any_name(make_entry: MakeEntry, name: str) -> None:
    answer = Answer(3, name, 1.0, 1.0, ((name, 1.0), (name, 0.0), (name, 0.0)))
    record, image, seed = make_entry(0, original=answer, deployed=answer, seed_row=name)
    assert contact_sheet([(record, image, seed)]).mode == "RGB"


def test_hugging_face_reads_a_corpus_as_it_lies(
    tmp_path: Path, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra compd[hf]")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    corpus = Corpus(tmp_path / "corpus", create=True)
    entries = [make_entry(number) for number in range(4)]
    entries.append(make_entry(4, eps=8, psnr=None, strategy={"name": "compd", "coverage": "none"}))
    corpus.add(entries)
    loaded = datasets.load_dataset(
        "imagefolder",
        data_dir=str(corpus.directory),
        cache_dir=str(tmp_path / "hf"),
        split="train",
    )
    assert len(loaded) == len(corpus)  # seeds are a column, and no rows of their own
    for column in ("image", "seed"):
        assert isinstance(loaded.features[column], datasets.Image)
    for row, (record, image, seed) in zip(loaded, entries, strict=True):
        assert pixel_hash(_pixels(row["image"])) == pixel_hash(image)
        assert pixel_hash(_pixels(row["seed"])) == pixel_hash(seed)
        assert row["verdict"] == "effective"
        assert row["severity"] == record.severity
        assert row["eps"] == record.eps
        assert row["source"]["row"] == record.seed_row
        assert row["deployed"]["name"] == "dog"
        assert row["strategy"]["name"] == record.strategy["name"]


def _pixels(picture: Any) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
