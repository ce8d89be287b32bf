"""A job summary in Markdown, as GitHub Actions shows it: at most 1 MiB a step."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

from PIL import Image
from torch import Tensor

from compd.gating.clean import tied
from compd.gating.deviations import Deviation, Status
from compd.gating.limits import figures_of
from compd.gating.outputs.words import look_at, plain
from compd.gating.result import GateResult
from compd.report import amplified, enlarged, factor_of

__all__ = ["summary"]

_MOST_BYTES = 1 << 20  # that GitHub takes of a step; more is an error, and nothing is shown
_SPARE = 16 << 10  # for what a step writes besides
_ROWS = 200  # deviations in the table
_PICTURES = 20
_SIDE = 96  # of a picture, pixels
_SHOWN = (Status.NEW, Status.UNCONFIRMED, Status.FLAKY)
_SIGN = {0: "✅", 1: "❌", 3: "❔", 130: "❔"}


def summary(
    result: GateResult,
    pictures: Callable[[Deviation], tuple[Tensor, Tensor]],
    *,
    room: int = _MOST_BYTES,
    page: str | None = None,
) -> str:
    """The result for people: verdict, counts, a table, and small pictures.

    Args:
        result: what the gate saw.
        pictures: gives the image and the seed image of a deviation, both uint8 (C, H, W).
        room: bytes that are left of the limit.
        page: address of the HTML page; None if there is none.

    Returns:
        Markdown; what does not fit is left out, and "and N more" says so.
    """
    room = min(room, _MOST_BYTES) - _SPARE
    text = _head(result)
    if page is not None:
        text += f"\n[The page with all of it]({plain(page).replace(')', '%29')})\n"
    shown = result.of(*_SHOWN)
    if shown:
        text += "\n| | status | original → deployed | severity | Linf | seed | why |\n"
        text += "|---|---|---|---|---|---|---|\n"
    written = 0
    for one in shown[:_ROWS]:
        row = _row(one)
        if len((text + row).encode()) > room // 2:
            break
        text += row
        written += 1
    if written < len(shown):
        text += f"\nand {len(shown) - written} more\n"
    drawn = 0
    for one in shown[:_PICTURES]:
        block = _picture(one, result, pictures)
        if len((text + block).encode()) > room:
            break
        text += block
        drawn += 1
    if shown and drawn < len(shown):
        text += f"\nand {len(shown) - drawn} more pictures in the artifacts\n"
    return text


def _head(result: GateResult) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in result.counts.items() if count)
    lines = [
        f"## {_SIGN[result.exit_code]} compd gate: {result.verdict}",
        "",
        f"{_code(result.pair)} on {_code(result.corpus)}: {counts or 'no deviations'}.",
    ]
    if result.searched is not None:
        found = result.searched.summary
        lines.append(f"Searched from {found.seeds} seeds; {found.seeds_effective} deviated.")
    if result.compared is not None:
        lines.append(f"Next to its record: {_cell(result.compared.describe())}.")
    if result.clean is not None:
        clean = result.clean
        lines.append(
            f"Natural disagreement {clean.disagree} of {clean.images}{tied(clean)} (below "
            f"{clean.disagree_bound:.2%} with 95 % confidence)."
        )
        lines += [f"{name.capitalize()}: {_cell(said)}." for name, said in figures_of(clean)]
    lines += [f"- **warning**: {_cell(warning)}" for warning in result.warnings]
    lines += [f"- **{name}**: {_cell(said)}" for name, said in result.failures.items()]
    return "\n".join(lines) + "\n"


def _row(one: Deviation) -> str:
    record = one.record
    cells = (
        record.sha256[:12],
        str(one.status),
        record.flip,
        f"{record.severity:.3f}",
        f"{record.linf}/255",
        record.seed_row,
        one.why,
    )
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |\n"


def _picture(
    one: Deviation, result: GateResult, pictures: Callable[[Deviation], tuple[Tensor, Tensor]]
) -> str:
    image, seed = pictures(one)
    data = base64.b64encode(_side_by_side(seed, image)).decode()
    name = one.record.sha256[:12]
    caption = f"{name} {_cell(one.record.flip)}: seed, deviation, amplified difference"
    drawn = f'<img alt="{name}" src="data:image/png;base64,{data}">'
    return f"\n{drawn}\n\n{caption}; {_code(look_at(one, result))}\n"


def _side_by_side(seed: Tensor, image: Tensor) -> bytes:
    small = [enlarged(seed, _SIDE), enlarged(image, _SIDE)]
    small.append(amplified(small[1], small[0], factor_of(image, seed)))
    width, height = small[0].size
    row = Image.new("RGB", (3 * width, height))
    for k, picture in enumerate(small):
        row.paste(picture, (k * width, 0))
    buffer = io.BytesIO()
    row.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _code(text: str) -> str:
    return f"`{plain(text).replace('`', ' ')}`"


def _cell(text: str) -> str:
    """Text that stays text within a table of Markdown."""
    safe = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "!", "#"):
        safe = safe.replace(mark, f"\\{mark}")
    return safe
