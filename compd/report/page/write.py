"""Writing the page: one file that needs nothing else, or one with its parts beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from compd._version import __version__
from compd.corpus import Corpus
from compd.errors import SettingError
from compd.files.outputs import check_output, is_standard_output, write_outputs
from compd.files.storage import disk_errors
from compd.pair.evaluation import Evaluation
from compd.report.page.charts import strip
from compd.report.page.environment import environment_of
from compd.report.page.first import first_of
from compd.report.page.gallery import Budget
from compd.report.page.headline import Headline, headline_of
from compd.report.page.history import history_of
from compd.report.page.panels import Panel, panel_of, panel_of_gate
from compd.report.page.place import Place, Seen, campaign_for, deviating, statuses_of
from compd.report.page.sections import Section, facts_of, few_classes, section_of
from compd.report.page.shown import CampaignShown, GateShown, RepairShown, Result
from compd.report.page.steps import Step, steps_of, steps_of_study
from compd.report.page.studies import StudySection, headline_of_studies, section_of_study
from compd.report.page.tables import Table, gate_tables, repair_tables
from compd.report.page.words import interval, percent
from compd.studies.run import StudyReport
from compd.text import one_line
from compd.wording import setting

__all__ = ["MOST_BYTES", "MOST_PICTURES", "check_page", "write_page"]

MOST_PICTURES = 300
MOST_BYTES = 8_000_000
_ALL = 1 << 40  # more than any corpus has
_WITHOUT = 1_500_000  # bytes that a page may take without its pictures, at first
_TRIES = 4
_HERE = "compd.report.page"
_FOLDER = "_files"  # behind the page's name, of the parts beside it


@dataclass(frozen=True)
class _Content:
    """What the pages of several tries have in common."""

    seen: tuple[Seen, ...]
    results: tuple[Result, ...]
    classes: tuple[str, ...]
    studies: tuple[StudyReport, ...] = ()
    options: str = ""  # words that name the pair of the studies


def check_page(path: Path, name: str = "out", *, static: bool = False) -> None:
    """Raise before the work starts if a page could not be written there.

    Args:
        path: of the page.
        name: of the option, for messages.
        static: as of :func:`write_page`.

    Raises:
        CompdError: if the folder is missing, or the path is a folder, or standard output though
            the page has parts beside it.
    """
    if static and is_standard_output(path):
        raise SettingError(
            f"expected a file to write, since {setting('static', True)} puts others beside it, "
            f"got {name}={str(path)!r}"
        )
    check_output(path, name)


def write_page(
    path: Path | str,
    corpus: Corpus | None,
    results: Sequence[Result],
    *,
    options: str = "",
    others: Sequence[Place] = (),
    seen: Evaluation | None = None,
    classes: Sequence[str] | None = None,
    accepted: Mapping[str, str] | None = None,
    studies: Sequence[StudyReport] = (),
    all: bool = False,
    static: bool = False,
) -> int:
    """Write a page of what was found: one HTML file that needs nothing else.

    Args:
        path: of the page.
        corpus: whose deviations it shows; None for a page of studies alone.
        results: of :func:`results_of`, in the order of time; the last one gives the verdict.
        options: words that name the pair on a command line, for ``compd replay``.
        others: further corpora, each with a part of its own.
        seen: the first corpus's pair on clean images, for accuracies by class.
        classes: what labels stand for.
        accepted: what the first corpus's baseline accepts: hash -> reason; None for no baseline.
        studies: of the pair, each with a part of its own.
        all: show each deviation, however large the page gets; else 300 and 8 MB.
        static: put style, script and pictures into files beside the page, in a folder of its name,
            for servers that forbid what is inline.

    Returns:
        How many deviations have a picture in it.

    Raises:
        CompdError: if it cannot be written.
    """
    path = Path(path)
    check_page(path, static=static)
    first = [] if corpus is None else [Place(corpus, options, accepted, seen)]
    places = [*first, *others]
    gates = [one for one in results if isinstance(one, GateShown)]
    corpora = []
    for place in places:
        records = deviating(place.corpus)
        corpora.append(Seen(place, records, statuses_of(place, records, gates)))
    content = _Content(
        tuple(corpora), tuple(results), tuple(classes or ()), tuple(studies), options
    )
    page, files, shown = _within(content, path, all=all, static=static)
    if files:
        with disk_errors(path):
            _folder(path).mkdir(exist_ok=True)
    write_outputs({path: page, **{_folder(path) / name: data for name, data in files.items()}})
    return shown


def _folder(path: Path) -> Path:
    return path.with_name(path.name + _FOLDER)


def _within(
    content: _Content, path: Path, *, all: bool, static: bool
) -> tuple[bytes, dict[str, bytes], int]:
    """Render with as many pictures as fit; names can take more room than was left for them."""
    room = _ALL if all else MOST_BYTES - _WITHOUT
    for _ in range(_TRIES):
        files: dict[str, bytes] | None = {} if static else None
        budget = Budget(_ALL if all else MOST_PICTURES, room, files)
        sections = _sections(content, budget)
        page = _rendered(content, sections, _folder(path).name if static else "")
        size = len(page) + sum(len(data) for data in (files or {}).values())
        if all or size <= MOST_BYTES:
            break
        room = max(0, room - (size - MOST_BYTES) - room // 10)
    parts = files or {}
    if static:
        parts |= {"page.css": _part("page.css").encode(), "page.js": _part("page.js").encode()}
    return page, parts, sum(len(section.cards) for section in sections)


def _sections(content: _Content, budget: Budget) -> list[Section]:
    sections = []
    few = few_classes(content.classes, [record for one in content.seen for record in one.records])
    for i, one in enumerate(content.seen):
        campaign = campaign_for(one.place, content.results, alone=len(content.seen) == 1)
        left = len(content.seen) - i  # what one corpus leaves is the others'
        sections.append(
            section_of(
                i + 1,
                one,
                campaign,
                facts_of(one, campaign),
                classes=content.classes,
                few=few,
                most=budget.pictures // left,
                budget=budget.part(left),
            )
        )
    return sections


def _steps(content: _Content) -> tuple[Step, ...]:
    of_studies = [step for one in content.studies for step in steps_of_study(one, content.options)]
    return (*steps_of(content.seen, content.results), *of_studies)


def _rendered(content: _Content, sections: Sequence[Section], folder: str) -> bytes:
    css, js = _part("page.css"), _part("page.js")
    tables: list[tuple[str, list[Table]]] = []
    last = content.results[-1] if content.results else None
    for one in content.results:
        if isinstance(one, GateShown | RepairShown) and (one is last or one is _last(content, one)):
            title = "Gate" if isinstance(one, GateShown) else "Repair"
            made = gate_tables(one) if isinstance(one, GateShown) else repair_tables(one)
            tables.append((title, made))
    said = (
        _environment()
        .get_template("page.html.j2")
        .render(
            headline=_headline(content),
            panels=_panels(content, sections),
            steps=_steps(content),
            first=first_of(content.seen, sections),
            here=one_line(Path.cwd().name or "/"),  # its name alone: pages travel
            sections=sections,
            studies=_studies(content),
            tables=tables,
            history=history_of(content.results),
            environment=environment_of(content.results, content.seen),
            version=__version__,
            folder=folder,
            css=Markup(css),
            js=Markup(js),
            policy=_policy(css, js) if not folder else _STATIC,
            strip=strip,
            percent=percent,
            interval=interval,
            most=MOST_PICTURES,
        )
    )
    return said.encode("utf-8", "replace")


def _headline(content: _Content) -> Headline:
    """What was searched is the verdict; of a page of studies alone, what they say."""
    if content.studies and not content.seen and not content.results:
        return headline_of_studies(content.studies)
    return headline_of(content.seen, content.results)


def _studies(content: _Content) -> list[StudySection]:
    return [section_of_study(i, one) for i, one in enumerate(content.studies, 1)]


def _panels(content: _Content, sections: Sequence[Section]) -> list[Panel]:
    """What is seen first: of a gate, what it saw; else a panel a model that was searched."""
    last = content.results[-1] if content.results else None
    if isinstance(last, GateShown):
        panel = panel_of_gate(last)
        return [] if panel is None else [panel]
    if not isinstance(last, CampaignShown):
        return []
    found = []
    for one, section in zip(content.seen, sections, strict=True):
        campaign = campaign_for(one.place, content.results, alone=len(content.seen) == 1)
        if campaign is not None:
            found.append(panel_of(section.key, campaign, one.records))
    return found


def _last(content: _Content, like: Result) -> Result:
    """The last result of the same kind."""
    return [one for one in content.results if type(one) is type(like)][-1]


_STATIC = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)


def _policy(css: str, js: str) -> str:
    """What a browser may load and run: our own style and script, by their hashes, and no more."""

    def hashed(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashed(css)}'; "
        f"script-src 'sha256-{hashed(js)}'; base-uri 'none'; form-action 'none'"
    )


@cache
def _part(name: str) -> str:
    return (resources.files(_HERE) / "templates" / name).read_text("utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(_HERE, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
