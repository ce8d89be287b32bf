"""What both models say of one picture, for people."""

from __future__ import annotations

from compd.cli.render.tables import print_facts
from compd.corpus.pictures import ReplayedFile
from compd.search import Answer, Verdict

__all__ = ["print_replay"]


def print_replay(result: ReplayedFile) -> None:
    """Print both answers, what was stored, and the verdict."""
    judged, record = result.judged, result.record
    rows = [
        ("file", f"{result.file} ({result.sha256[:12]})"),
        *(
            (who, f"{one.name} (margin {one.margin:.3f}): {_top(one)}")
            for who, one in (("original", judged.original), ("deployed", judged.deployed))
        ),
        ("severity", f"{judged.severity:.3f}"),
    ]
    if record is not None:
        stability = "" if record.stability is None else f", {record.stability}"
        stored = f"{record.flip}, severity {record.severity:.3f}{stability}, from {record.seed_row}"
        rows.append(("stored", stored))
        rows += [
            (f"  {key}", f"{then} → {now}"[:200]) for key, (then, now) in result.changes.items()
        ]
    said = {Verdict.EFFECTIVE: "deviates", Verdict.VALID: "both models agree"}.get(
        judged.verdict, "invalid: the original itself has left its label for the seed"
    )
    rows.append(("verdict", said))
    print_facts("", rows)


def _top(answer: Answer) -> str:
    return ", ".join(f"{name} {p:.1%}" for name, p in answer.top)
