"""JUnit XML: one case a deviation, whose name stays the same from run to run."""

from __future__ import annotations

from pathlib import PurePath
from xml.etree import ElementTree as ET

from compd.gating.deviations import Deviation, Status
from compd.gating.outputs.words import detail, look_at, plain, replay_of, title
from compd.gating.result import GateResult

__all__ = ["junit"]

_LIMITS = (
    "max-natural-disagreement",
    "max-accuracy-drop",
    "max-class-accuracy-drop",
    "max-negative-flips",
    "max-class-negative-flips",
    "max-shift-disagreement",
    "guard-alpha",
    "guard-min-coverage",
)
_SKIPPED = (
    Status.UNCONFIRMED,
    Status.FLAKY,
    Status.MILD,
    Status.RECORDED,
    Status.ACCEPTED,
)


def junit(result: GateResult, page: str | None = None) -> bytes:
    """The result as JUnit XML (the format that Jenkins's xunit plugin fixed in a schema).

    A new deviation is a failure, unless the policy lets so many pass; one that does not block is
    skipped, with the reason; one that does not deviate any more has passed. Each limit of the
    policy is a case of its own.
    """
    limits = [n for n in _LIMITS if getattr(result.policy, n.replace("-", "_")) is not None]
    limits += ["search-record"] if result.compared is not None else []
    new = len(result.of(Status.NEW))
    failed = (new if result.too_many else 0) + len(result.failures)
    counts = {
        "tests": str(len(result.deviations) + len(limits)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(len(result.of(*_SKIPPED)) + (0 if result.too_many else new)),
        "time": f"{result.seconds:.3f}",
    }
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", {"name": "compd gate", **counts})
    if page is not None:
        known = ET.SubElement(suite, "properties")
        ET.SubElement(known, "property", {"name": "report", "value": plain(page)})
    names = f"compd.{plain(PurePath(result.corpus).name)}"
    for one in sorted(result.deviations, key=lambda one: one.record.sha256):
        case = ET.SubElement(
            suite, "testcase", {"classname": names, "name": one.record.sha256[:16], "time": "0"}
        )
        _say(case, one, result, page)
    for name in limits:
        case = ET.SubElement(suite, "testcase", {"classname": names, "name": name, "time": "0"})
        if name in result.failures:
            said = plain(result.failures[name])
            ET.SubElement(case, "failure", {"type": name, "message": said}).text = said
    ET.indent(suites)
    content: bytes = ET.tostring(suites, "utf-8", xml_declaration=True)
    return content + b"\n"


def _say(case: ET.Element, one: Deviation, result: GateResult, page: str | None) -> None:
    said = plain(detail(one))
    if one.status is Status.NEW and result.too_many:
        failure = ET.SubElement(case, "failure", {"type": "new", "message": plain(title(one))})
        failure.text = plain(said) + f"\n{look_at(one, result)}\n{replay_of(one, result)}"
        if page is not None:
            failure.text += f"\npage: {plain(page)}"
    elif one.status is Status.NEW or one.status in _SKIPPED:
        ET.SubElement(case, "skipped", {"message": plain(f"{title(one)}; {one.why}")})
    ET.SubElement(case, "system-out").text = said
