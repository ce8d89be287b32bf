"""What objects say of themselves, in a shell and in a notebook."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CLASSES, tiny_original, tiny_pair, tiny_splits

import compd
from compd.compress import Ptq
from compd.corpus import collect
from compd.data import Dataset, Splits
from compd.gating import Baseline, Policy
from compd.search import Campaign, SearchSettings, Stability, Verdict, flip
from compd.search.findings import Answer

NASTY = "<script>alert('x')</script>\n\x1b[31m\u202e & \"" + "long " * 40
COARSE = Ptq(weight_bits=4)


@cache
def campaign() -> tuple[Campaign, tuple[compd.Finding, ...]]:
    ran = compd.fuzz(tiny_pair(COARSE), tiny_splits().seeds, eps=16, goal="severe", limit=8)
    return ran, tuple(ran)


def finding() -> compd.Finding:
    return campaign()[1][0]


def renamed(answer: Answer, name: str) -> Answer:
    return replace(answer, name=name, top=tuple((name, p) for _, p in answer.top))


def nasty() -> compd.Finding:
    one = finding()
    return replace(
        one,
        seed_row=NASTY,
        original=renamed(one.original, NASTY),
        deployed=renamed(one.deployed, NASTY),
    )


class Page(HTMLParser):
    """Tags that open and close, text, and pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.pictures: list[Image.Image] = []
        self.styles: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "img":
            self.open.append(tag)
            return
        told = dict(attrs)
        assert told["alt"]
        self.styles.append(told["style"] or "")
        kind, data = (told["src"] or "").split(",")
        assert kind == "data:image/png;base64"
        self.pictures.append(Image.open(io.BytesIO(base64.b64decode(data))))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_splits_tell_their_sizes_and_read_nothing_for_it() -> None:
    digits = Splits(compd.load_data("digits"))
    assert repr(digits) == (
        "Splits(digits: train 865, calibration 107, selection 107, seeds 359, heldout 359)"
    )
    assert repr(digits.seeds) == "Split(digits seeds: 359 images 3x32x32, rows all[1079:1438])"
    assert repr(Splits(compd.load_data("digits"), trains=False)) == (
        "Splits(digits: calibration 449, seeds 1348)"
    )
    tiny = Splits(tiny_splits().dataset)
    assert repr(tiny) == "Splits(tiny: nothing read yet)"
    assert len(tiny.seeds) == 100
    assert repr(tiny) == "Splits(tiny: seeds 100)"

    def unreadable() -> None:
        raise AssertionError("read")

    data = tiny_splits().dataset
    never = replace(data, loaders={"train": unreadable, "test": unreadable})
    assert repr(Splits(never)) == "Splits(tiny: nothing read yet)"
    assert repr(never) == "Dataset(tiny: 3 classes, 3x16x16)"


def test_pairs_tell_their_models_and_shape() -> None:
    assert repr(tiny_pair()) == "Pair(tiny:untrained on tiny, ptq, x86, 3 classes, 3x16x16)"
    image = tiny_splits().seeds.images[:1]
    two = compd.Pair.from_modules(tiny_original(), tiny_original(), example=image)
    assert repr(two) == "Pair(Classifier and Classifier, torch-cpu, 3 classes, 3x16x16)"
    unknown = compd.Pair.from_modules(tiny_original(), tiny_original(), classes=CLASSES)
    assert repr(unknown) == "Pair(Classifier and Classifier, torch-cpu, 3 classes)"


def test_a_campaign_tells_how_far_it_is() -> None:
    new = compd.fuzz(tiny_pair(COARSE), tiny_splits().seeds, eps=16, limit=3)
    assert repr(new) == "Campaign(boundary from 100 images of tiny, linf 16/255: not run yet)"
    steps = iter(new)
    next(steps)
    assert repr(new).endswith("seeds deviate, under way)")
    assert repr(new.settings) == "SearchSettings(limit=3, eps=16)"
    list(steps)
    assert repr(new).endswith("3 of 3 seeds deviate, done)")


def test_a_finding_is_one_line() -> None:
    one = finding()
    assert repr(one) == f"Finding({one})"
    assert re.fullmatch(
        r"Finding\(test\[\d+\]: \w+ → \w+, severity 0\.\d{3}, Linf \d+/255\)", repr(one)
    )


@pytest.fixture
def corpus(tmp_path: Path) -> compd.Corpus:
    made = compd.Corpus(tmp_path / "found", create=True)
    running = compd.fuzz(tiny_pair(COARSE), tiny_splits().seeds, eps=16, limit=3)
    assert sum(collect(running, made)) == 3
    return made


def test_nothing_fills_the_screen(corpus: compd.Corpus, tmp_path: Path) -> None:
    pair, seeds = tiny_pair(COARSE), tiny_splits().seeds
    record = next(iter(corpus))
    assert repr(record).startswith(f"Record({record.sha256[:12]}, test[")
    assert repr(corpus).endswith("found', 3 entries)")
    deep = compd.Corpus(tmp_path / ("deep/" * 30) / "end", create=True)
    assert repr(deep).endswith("/end', 0 entries)")
    everything = [
        record,
        replace(record, seed_row=NASTY, seed_data=NASTY),
        corpus,
        deep,
        nasty(),
        finding().original,
        nasty().original,
        pair,
        replace(seeds, data=NASTY, name=NASTY, source=NASTY),
        tiny_splits(),
        tiny_splits().dataset.train,
        Dataset(NASTY, "", CLASSES, 3, tiny_splits().dataset.size, False, {}),
        SearchSettings(strategy="dflare", objective=flip(NASTY, "dog")),
        compd.evaluate(pair, seeds),
        compd.check(pair, seeds),
        *compd.verify(corpus, pair),
        compd.gate(pair, corpus, Baseline(), policy=Policy(only_replay=True)),
    ]
    for thing in everything:
        said = repr(thing)
        assert said.isprintable(), said
        assert len(said) <= 140, said
        assert "tensor(" not in said
    assert repr(compd.verify(corpus, pair)[0]).startswith("Replayed(holds: Record(")


def test_a_finding_in_a_notebook_shows_pictures_and_answers() -> None:
    one = replace(finding(), true_label=finding().original.label)
    page = Page(one._repr_html_())
    assert page.tags <= {"div", "b", "img", "table", "tr", "td", "span"}
    seed, deviation, difference = (np.asarray(picture) for picture in page.pictures)
    assert (seed == one.seed_image.permute(1, 2, 0).numpy()).all()
    assert (deviation == one.image.permute(1, 2, 0).numpy()).all()
    apart = one.image.int() - one.seed_image.int()
    factor = 120 // int(apart.abs().max())
    assert (difference == (128 + factor * apart).permute(1, 2, 0).numpy()).all()
    assert all("image-rendering:pixelated" in style for style in page.styles)
    for expected in (
        f"seed {one.seed_row}",
        f"Linf {one.linf}/255",
        f"×{factor}",
        f"{one.original.name} → {one.deployed.name}",
        "original (margin",
        "deployed (margin",
        f"severity {one.severity:.3f} of 1",
        f"truth: {one.original.name}, so only the original model is right",
        *(f"{p:.1%}" for _, p in (*one.original.top[:3], *one.deployed.top[:3])),
    ):
        assert expected in page.text


@pytest.mark.parametrize(
    ("severity", "words"),
    [(0.9, "both models are sure"), (0.3, "fairly sure"), (0.01, "at least one of the models is")],
)
def test_severity_in_words(severity: float, words: str) -> None:
    assert words in replace(finding(), severity=severity)._repr_html_()


def test_truth_and_stability_in_words() -> None:
    one = finding()
    wrong = next(i for i in range(3) if i not in (one.original.label, one.deployed.label))
    for truth, words in (
        (None, "nobody labelled the seed"),
        (wrong, f"truth: class {wrong}, so neither model is right"),
        (one.deployed.label, "so only the deployed model is right"),
    ):
        assert words in Page(replace(one, true_label=truth)._repr_html_()).text
    valid = replace(
        one,
        verdict=Verdict.VALID,
        deployed=one.original,
        true_label=one.original.label,
        stability=Stability.BATCH,
    )
    text = Page(valid._repr_html_()).text
    assert "both models are right; replayed: batch-dependent" in text
    assert "valid: no deviation" in text
    assert "severity" not in text


def test_names_of_strangers_are_escaped() -> None:
    page = Page(nasty()._repr_html_())
    assert page.tags <= {"div", "b", "img", "table", "tr", "td", "span"}
    assert "<script>" in page.text  # as text
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    summary = replace(campaign()[0].summary(), notes=(NASTY,), stopped="time")
    table = Page(summary._repr_html_())
    assert table.tags == {"table", "tr", "th", "td"}
    assert "the time was up" in table.text


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 40), (3, 600, 300), (1, 1, 1)])
def test_pictures_of_all_shapes(shape: tuple[int, int, int]) -> None:
    seed = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator())
    one = replace(finding(), seed_image=seed, image=255 - seed)
    html = one._repr_html_()
    page = Page(html)
    assert len(page.pictures) == 3
    longest = max(*shape[1:])
    assert all(max(picture.size) == min(longest, 256) for picture in page.pictures)
    assert all("128px" in style for style in page.styles)
    assert len(html) < 400_000
    same = replace(one, image=seed)  # nothing is amplified where nothing differs
    assert len(np.unique(np.asarray(Page(same._repr_html_()).pictures[2]))) == 1


def test_a_summary_reads_as_lines_and_as_a_table() -> None:
    summary = campaign()[0].summary()
    lines = str(summary).splitlines()
    found = summary.seeds_effective
    assert lines[0] == f"deviations  on {found} of 8 seeds"
    assert any(line.startswith("severity    median 0.") for line in lines)
    table = Page(summary._repr_html_())
    assert f"on {found} of 8 seeds" in table.text
    none = replace(
        summary, severity_median=None, severity_max=None, notes=("cut short",), stopped="time"
    )
    assert "severity    –" in str(none)
    assert str(none).endswith("note        cut short")
    assert repr(summary).startswith("Summary(seeds=8")
