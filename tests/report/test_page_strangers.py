"""Pages of corpora that strangers made: everything is text, nothing is loaded, all of it fits."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from test_page_results import CAMPAIGN, GATE, REPAIR
from tiny_corpora import answer

from compd.report.page import Place, results_of, write_page
from compd.report.page.write import MOST_BYTES, MOST_PICTURES
from compd.search import Verdict
from targets import load

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style><style>body{display:none}",
    "</title><h1>owned</h1>",
    "--></script><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#0;",
    "\u202egnp.exe\u202c\u2066",
    "مرحبا بالعالم",
    "x" * 10_000,
    "javascript:alert(1)",
    "",
)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._inside: list[str] = []
        self.source = path.read_text("utf-8")
        self.inline: dict[str, str] = {}
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] in ("style", "script"):
            self.inline[self._inside[-1]] = data
        elif data.strip():
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def cards(self) -> int:
        return sum(one.get("class") == "card" for one in self.all("li"))

    def policy(self) -> str:
        return next(str(one["content"]) for one in self.all("meta") if "http-equiv" in one)


def hostile(number: int) -> dict[str, Any]:
    one = HOSTILE[number % len(HOSTILE)]
    other = HOSTILE[(number + 1) % len(HOSTILE)]
    return {
        "original": answer(3, one, 0.9),
        "deployed": answer(4, other, 0.8),
        "seed_data": one or "x",
        "seed_row": other or "x",
        "strategy": {"name": one, "goal": {"a": [one]}},
        "norm": ("linf", "l2", one[:50] or "odd")[number % 3],
        "eps": (None, 16, 10**6)[number % 3],
        "true_label": (None, 3, 10**9)[number % 3],
        "fingerprint": {f"key {one[:200]}": one, "torch": [one], "engine": {"a": one}},
        "pair": {"model": {"model": one, "classes": [one]}, "compress": {"kind": one}},
    }


def test_hostile_texts_stay_texts(make_corpus, tmp_path: Path) -> None:
    corpus = make_corpus(2 * len(HOSTILE), change=hostile)
    accepted = {record.sha256: HOSTILE[i % 9] for i, record in enumerate(corpus)}
    odd = {"name": HOSTILE[0], "confidence": 1.0}
    results = results_of(
        CAMPAIGN
        | {"model": HOSTILE[1], "notes": list(HOSTILE), "fingerprint": {HOSTILE[2]: HOSTILE[3]}}
        | {"worst": {"original": odd, "deployed": odd}, "trust": {HOSTILE[4]: HOSTILE[0]}},
        HOSTILE[0],
    ) + results_of(GATE | {"failures": {HOSTILE[0]: HOSTILE[3]}, "pair": HOSTILE[1]}, HOSTILE[1])
    path = tmp_path / "page.html"
    write_page(path, corpus, results, options=HOSTILE[1], accepted=accepted, classes=HOSTILE)
    page = Page(path)
    kinds = {tag for tag, _ in page.tags}
    assert not kinds & {"h4", "iframe", "object", "embed", "base", "link", "b-x"}
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("h1")) == 1
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
    for image in page.all("img"):
        assert str(image["src"]).startswith("data:image/png;base64,")
    assert all(str(one["href"]).startswith("#") for one in page.all("a"))
    assert "\u202e" not in page.source
    assert "x" * 1000 not in page.source
    assert "<script>alert(1)</script>" in "".join(page.text)  # as text, it is seen
    assert page.cards() == 2 * len(HOSTILE)


def test_the_policy_lets_our_own_style_and_script_in_and_nothing_else(
    make_corpus, tmp_path
) -> None:
    path = tmp_path / "page.html"
    write_page(path, make_corpus(2), ())
    page = Page(path)
    assert page.policy().startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for kind, text in page.inline.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in page.policy()
    assert not re.findall(r"https?://", page.source)
    assert "unsafe" not in page.policy()


def test_the_script_is_small() -> None:
    import compd.report.page.write as home

    script = Path(home.__file__).with_name("templates") / "page.js"
    assert len(script.read_text().splitlines()) <= 300


def test_missing_and_damaged_pictures_are_named(make_corpus, tmp_path: Path) -> None:
    corpus = make_corpus(6, pictures=4)
    shutil.rmtree(corpus.directory / "seeds")
    damaged = next((corpus.directory / "images").rglob("*.png"))
    damaged.write_bytes(b"no picture")
    path = tmp_path / "page.html"
    assert write_page(path, corpus, ()) == 6
    page = Page(path)
    assert page.all("img") == []
    assert (
        sum("No picture: expected" in text for text in page.text) == 6 + 1
    )  # the worst is there twice


def test_an_empty_corpus_is_a_page_that_says_so(make_corpus, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert write_page(path, make_corpus(0), ()) == 0
    assert "The corpus is empty: no deviation is stored." in Page(path).text
    for content in (CAMPAIGN | {"seeds_effective": 0, "severity_max": None}, GATE, REPAIR):
        write_page(path, make_corpus(0, f"empty-{id(content)}"), results_of(content, "r"))
        assert Page(path).cards() == 0


def test_entries_that_do_not_deviate_are_counted_and_not_shown(make_corpus, tmp_path) -> None:
    corpus = make_corpus(
        4, change=lambda number: {"verdict": Verdict.VALID, "severity": 0.0} if number else {}
    )
    path = tmp_path / "page.html"
    assert write_page(path, corpus, ()) == 1
    assert "3 further entries do not deviate" in " ".join(Page(path).text)


def test_twenty_thousand_entries_fit(make_corpus, tmp_path: Path) -> None:
    def change(number: int) -> dict[str, Any]:
        source, target = number % 1000, (number * 7 + 1) % 1000
        severity = 0.9 if number < 400 else 0.5
        return {
            "original": answer(source, f"class {source}", severity),
            "deployed": answer(target, f"class {target}", severity),
            "severity": severity,
            "sha256": f"{number:064x}",
        }

    corpus = make_corpus(20_000, pictures=0, change=change, size=4)
    path = tmp_path / "page.html"
    begun = time.perf_counter()
    assert write_page(path, corpus, ()) == MOST_PICTURES
    assert time.perf_counter() - begun < 30  # about one, on a machine that is free
    assert path.stat().st_size < MOST_BYTES / 4
    assert "300 of 20000 deviations are shown" in " ".join(Page(path).text)


def test_a_page_keeps_to_its_bytes_unless_all_are_asked_for(
    make_corpus, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("compd.report.page.write.MOST_BYTES", 400_000)
    monkeypatch.setattr("compd.report.page.write._WITHOUT", 100_000)
    corpus, path = make_corpus(60, size=48), tmp_path / "page.html"
    few = write_page(path, corpus, ())
    assert 5 < few < 60
    assert path.stat().st_size <= 400_000
    assert write_page(path, corpus, (), all=True) == 60
    assert path.stat().st_size > 400_000


def test_large_pictures_are_made_smaller(make_corpus, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, make_corpus(2, size=224), ())
    page = Page(path)
    assert all(str(one["src"]).startswith("data:image/webp;base64,") for one in page.all("img"))
    assert path.stat().st_size < 200_000
    assert "Pictures are made smaller" in " ".join(page.text)


def test_a_static_page_has_its_parts_beside_it(make_corpus, tmp_path: Path) -> None:
    path = tmp_path / "my page.html"
    write_page(path, make_corpus(3), (), static=True)
    page = Page(path)
    assert page.inline == {}
    assert "unsafe" not in page.policy()
    assert "data:" not in page.source
    named = [str(one["src"]) for one in (*page.all("img"), *page.all("script"))]
    named += [str(one["href"]) for one in page.all("link")]
    assert len(named) == 3 + 1 + 2  # the worst is there twice
    for name in named:
        assert (tmp_path / name).is_file()


def test_further_corpora_have_parts_of_their_own(make_corpus, tmp_path: Path) -> None:
    first, second = make_corpus(5), make_corpus(3, "second", change=lambda n: {"random_seed": 1})
    results = results_of(
        {
            "results": [
                CAMPAIGN | {"corpus": str(first.directory)},
                CAMPAIGN
                | {
                    "corpus": str(second.directory),
                    "settings": CAMPAIGN["settings"] | {"compress": {"kind": "ptq"}},
                },
            ]
        },
        "fuzz",
    )
    path = tmp_path / "page.html"
    write_page(path, first, results, options="--a", others=[Place(second, "--b")])
    page = Page(path)
    heads = [text for text in page.text if re.match(r"(pruned|int8): 50 sure flips", text)]
    assert [head.split(":")[0] for head in heads[-2:]] == ["pruned", "int8"]
    assert [one["id"] for one in page.all("section") if "id" in one] == ["c1", "c2"]
    commands = {text for text in page.text if text.startswith("compd replay")}
    assert [sum(said.endswith(word) for said in commands) for word in ("--a", "--b")] == [5, 3]
    assert page.source.index("<bdi>pruned</bdi>") < page.source.index("<bdi>int8</bdi>")


def test_seeds_of_the_fuzz_target_make_pages(make_corpus, tmp_path: Path) -> None:
    import json

    corpus = make_corpus(2)
    for seed in load("report_result").seeds():
        content = json.loads(seed)
        if content:
            write_page(tmp_path / "page.html", corpus, results_of(content, "r"))


@pytest.mark.parametrize("place", ["missing/page.html", ".", "file/page.html"])
def test_a_page_that_cannot_be_written_is_refused(
    make_corpus, tmp_path, refuses, place: str
) -> None:
    (tmp_path / "file").write_text("")
    with refuses("page.html" if "/" in place else "out="):
        write_page(tmp_path / place, make_corpus(1), ())
