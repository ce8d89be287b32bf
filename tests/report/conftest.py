"""Corpora without models, written as they lie on disk; and a browser, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import write_corpus

from compd.corpus import Corpus

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MakeCorpus = Callable[..., Corpus]


@pytest.fixture
def make_corpus(tmp_path: Path) -> MakeCorpus:
    """``make_corpus(count, name=, ...)``: as :func:`tiny_corpora.write_corpus` writes it."""

    def make(count: int, name: str = "corpus", **how: Any) -> Corpus:
        return write_corpus(tmp_path / name, count, **how)

    return make


@dataclass
class Opened:
    """A page in a browser, and what it said or asked for."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def shown(self) -> list[int]:
        """The numbers of the cards that are seen, in their order on the page."""
        found = self.page.eval_on_selector_all(
            ".card:not([hidden])", "cards => cards.map(card => Number(card.dataset.rank))"
        )
        return [int(number) for number in found]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium: of $COMPD_CHROMIUM, or on the path."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (compd[dev])")
    named = os.environ.get("COMPD_CHROMIUM")
    program = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None or not Path(program).exists():
        pytest.skip(f"needs a Chromium: on PATH, or COMPD_CHROMIUM={named!r} (no such file)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


Open = Callable[..., Opened]


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """``open_page(path, javascript=)``: open a page; it may say nothing and ask for nothing."""
    opened: list[tuple[Any, Opened]] = []

    def open_(path: Path, *, javascript: bool = True, **how: Any) -> Opened:
        context = chromium.new_context(java_script_enabled=javascript, **how)
        one = Opened(context.new_page())
        one.page.on("console", lambda message: one.messages.append(message.text))
        one.page.on("pageerror", lambda error: one.messages.append(str(error)))
        one.page.on("dialog", lambda dialog: one.messages.append(dialog.message))
        one.page.on("request", lambda request: one.requests.append(request.url))
        one.page.goto(path.as_uri())
        opened.append((context, one))
        return one

    yield open_
    for context, one in opened:
        context.close()
        assert one.messages == []
        assert [url for url in one.requests if not url.startswith(("file:", "data:"))] == []
