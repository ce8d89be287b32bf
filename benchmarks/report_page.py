"""How large a page is, how long it takes to make, and how long a browser takes with it.

    python benchmarks/report_page.py [--chromium /usr/bin/chromium]

Corpora without models: entries with random pictures, the severest with theirs on disk. Times are
the least of three. Without playwright and a Chromium the browser's are left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from tiny_corpora import answer, write_corpus

from compd.corpus import Corpus
from compd.report.page import write_page

_REPEATS = 3
# entries, classes, pixels a side
_KINDS = ((60, 10, 32), (300, 10, 32), (300, 1000, 224), (20_000, 10, 32), (20_000, 1000, 224))
_ON_DISK = 400


def _flips(classes: int) -> Callable[[int], dict[str, Any]]:
    def change(number: int) -> dict[str, Any]:
        severity = round(0.99 - 0.98 * number / 20_000, 6)
        source, target = number * number % classes, (number * 7 + 1) % classes
        return {
            "severity": severity,
            "original": answer(source, f"class {source}", severity),
            "deployed": answer(target, f"class {target}", severity),
            "true_label": source,
        }

    return change


def _least(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def _seconds_in(browser: Any, path: Path) -> tuple[float, ...]:
    """Open, filter by the first cell, sort, search: each until the frame after it is drawn."""
    drawn = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
    steps = {
        "filter": "document.querySelector('.matrix a').click()",
        "sort": "(s => { s.value = 'linf'; s.dispatchEvent(new Event('input', {bubbles: true})); })"
        "(document.querySelector('[name=sort]'))",
        "search": "(s => { s.value = 'class'; s.dispatchEvent(new Event('input', {bubbles: true}))"
        "; })(document.querySelector('[name=text]'))",
    }
    times = []
    for _ in range(_REPEATS):
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        begun = time.perf_counter()
        page.goto(path.as_uri())
        page.evaluate(drawn)
        one = [time.perf_counter() - begun]
        for step in steps.values():
            begun = time.perf_counter()
            page.evaluate(f"{step}; {drawn}")
            one.append(time.perf_counter() - begun)
        times.append(one)
        page.close()
    return tuple(min(column) for column in zip(*times, strict=True))


def _measure(browser: Any, home: Path) -> None:
    print(f"{'entries':>8}{'classes':>8}{'pixels':>7}{'pictures':>9}{'MB':>7}", end="")
    print(f"{'read s':>8}{'make s':>8}{'open s':>8}{'filter s':>9}{'sort s':>8}{'search s':>9}")
    for entries, classes, size in _KINDS:
        folder = home / f"{entries}-{classes}"
        write_corpus(folder, entries, size=size, pictures=_ON_DISK, change=_flips(classes))
        read = _least(lambda where=folder: Corpus(where))  # type: ignore[misc]
        corpus, path = Corpus(folder), home / f"{folder.name}.html"
        shown = write_page(path, corpus, ())
        made = _least(lambda to=path, what=corpus: write_page(to, what, ()))  # type: ignore[misc]
        line = f"{entries:>8}{classes:>8}{size:>7}{shown:>9}{path.stat().st_size / 1e6:>7.2f}"
        line += f"{read:>8.2f}{made:>8.2f}"
        if browser is not None:
            opened, *rest = _seconds_in(browser, path)
            line += f"{opened:>8.2f}{rest[0]:>9.3f}{rest[1]:>8.3f}{rest[2]:>9.3f}"
        print(line, flush=True)
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    found = os.environ.get("COMPD_CHROMIUM") or shutil.which("chromium")
    parser.add_argument("--chromium", default=found, help="a Chromium; none: sizes alone")
    program = parser.parse_args().chromium
    with tempfile.TemporaryDirectory() as home:
        if program is None:
            _measure(None, Path(home))
            return
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            print(f"Chromium {browser.version}, compd pages, least of {_REPEATS}")
            _measure(browser, Path(home))
            browser.close()


if __name__ == "__main__":
    main()
