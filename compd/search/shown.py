"""Findings and summaries as people see them: HTML for notebooks, and text.

Names of classes and rows come from strangers: all text is escaped.
"""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from compd.search.judge import Verdict
from compd.text import shortened

if TYPE_CHECKING:
    from compd.search.findings import Answer, Finding, Summary

__all__ = ["finding_html", "summary_html", "summary_text"]

Pixels = NDArray[np.uint8]

_SIDE = 128  # of a picture on the screen, in CSS pixels
_MOST = 256  # of a picture in the notebook's file: larger ones are reduced
_CLASSES = 3  # of an answer
_LETTERS = 60  # of a name
_SURE = ((0.5, "both models are sure"), (0.2, "both models are fairly sure"))
_SMALL = "font-size:85%;opacity:.75"
_LEFT = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


def finding_html(finding: Finding) -> str:
    """A finding: seed, deviation and their difference, and both models' answers.

    Returns:
        HTML without scripts and style sheets; pictures are PNGs inside of it, enlarged by the
        browser.
    """
    image, seed = _array(finding.image), _array(finding.seed_image)
    apart, factor = _difference(image, seed)
    pictures = (
        (seed, f"seed {finding.seed_row}"),
        (image, finding.shift or f"deviation, Linf {finding.linf}/255"),
        (apart, f"difference ×{factor}"),
    )
    figures = "".join(_figure(pixels, caption) for pixels, caption in pictures)
    answers = "".join(
        _answer_html(who, answer)
        for who, answer in (("original", finding.original), ("deployed", finding.deployed))
    )
    return (
        f'<div style="margin:4px 0 12px"><div><b>{_text(_title(finding))}</b></div>'
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start">'
        f"{figures}{answers}</div>"
        f'<div style="{_SMALL}">{_text(_words(finding))}</div></div>'
    )


def summary_text(summary: Summary) -> str:
    """A campaign in numbers, a line each."""
    rows = _summary_rows(summary)
    wide = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{wide}}  {shortened(text, 400)}" for name, text in rows)


def summary_html(summary: Summary) -> str:
    """A campaign in numbers, as a table."""
    rows = "".join(
        f'<tr><th scope="row" style="{_LEFT}">{escape(name)}</th>'
        f'<td style="{_LEFT}">{_text(text, 400)}</td></tr>'
        for name, text in _summary_rows(summary)
    )
    return f"<table>{rows}</table>"


def _summary_rows(summary: Summary) -> list[tuple[str, str]]:
    severity = distance = "–"
    if summary.severity_median is not None:
        severity = (
            f"median {summary.severity_median:.3f}, p90 {summary.severity_p90:.3f}, "
            f"highest {summary.severity_max:.3f}"
        )
        distance = (
            f"Linf at most {summary.linf_max}/255, L2 per pixel {summary.l2_mean:.4f} on average"
        )
    rows = [
        ("deviations", f"on {summary.seeds_effective} of {summary.seeds} seeds"),
        ("set aside", f"{summary.seeds_set_aside} seeds, on which the models differ untouched"),
        (
            "images",
            f"{summary.images_effective} effective, {summary.images_valid} valid, "
            f"{summary.images_invalid} invalid",
        ),
        ("severity", severity),
        ("distance", distance),
        (
            "cost",
            f"{summary.seconds:.1f} s, {summary.gradients_per_seed:g} gradients and "
            f"{summary.forwards_per_seed:g} forwards a seed",
        ),
    ]
    if summary.stopped != "done":
        rows.append(("stopped", {"time": "the time was up"}.get(summary.stopped, summary.stopped)))
    return rows + [("note", note) for note in summary.notes]


def _title(finding: Finding) -> str:
    if finding.verdict is not Verdict.EFFECTIVE:
        return f"{finding.verdict}: no deviation"
    return (
        f"{shortened(finding.original.name, _LETTERS)} → "
        f"{shortened(finding.deployed.name, _LETTERS)}"
    )


def _words(finding: Finding) -> str:
    """Severity, truth and stability, in words."""
    said = []
    if finding.verdict is Verdict.EFFECTIVE:
        sure = next(
            (words for least, words in _SURE if finding.severity >= least),
            "at least one of the models is unsure",
        )
        said.append(f"severity {finding.severity:.3f} of 1: {sure}")
    said.append(_truth(finding))
    if finding.stability is not None:
        said.append(f"replayed: {finding.stability}")
    return "; ".join(said)


def _truth(finding: Finding) -> str:
    label = finding.true_label
    if label is None:
        return "nobody labelled the seed"
    answers = {"original": finding.original, "deployed": finding.deployed}
    right = [who for who, answer in answers.items() if answer.label == label]
    if not right:
        return f"truth: class {label}, so neither model is right"
    name = shortened(answers[right[0]].name, _LETTERS)
    if len(right) == 2:
        return f"truth: {name}, so both models are right"
    return f"truth: {name}, so only the {right[0]} model is right"


def _answer_html(who: str, answer: Answer) -> str:
    rows = "".join(
        f'<tr><td style="{_LEFT}">{_text(name, _LETTERS)}</td>'
        f'<td style="{_LEFT}"><span style="display:inline-block;height:.7em;'
        f'background:currentColor;opacity:.4;width:{round(60 * p)}px"></span> {p:.1%}</td></tr>'
        for name, p in answer.top[:_CLASSES]
    )
    return (
        f'<div><div style="{_SMALL}">{who} (margin {answer.margin:.3f})</div>'
        f"<table>{rows}</table></div>"
    )


def _figure(pixels: Pixels, caption: str) -> str:
    high, wide = pixels.shape[:2]
    scale = _SIDE / max(high, wide)
    style = (
        f"width:{max(1, round(wide * scale))}px;height:{max(1, round(high * scale))}px;"
        "image-rendering:pixelated;max-width:none;display:block"
    )
    return (
        f'<div><div style="{_SMALL}">{_text(caption, _LETTERS)}</div>'
        f'<img alt="{_text(caption, _LETTERS)}" style="{style}" src="{_data_uri(pixels)}"></div>'
    )


def _data_uri(pixels: Pixels) -> str:
    picture = Image.fromarray(pixels)
    if max(picture.size) > _MOST:
        picture.thumbnail((_MOST, _MOST), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _array(image: Tensor) -> Pixels:
    """uint8 (C, H, W) to (H, W, 3) or (H, W)."""
    array: Pixels = image.permute(1, 2, 0).numpy()
    return np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)


def _difference(image: Pixels, seed: Pixels) -> tuple[Pixels, int]:
    """The difference of two images around mid-grey, and by how much it is amplified."""
    delta = image.astype(np.int16) - seed.astype(np.int16)
    factor = max(1, 120 // max(1, int(np.abs(delta).max(initial=0))))
    return np.clip(128 + factor * delta, 0, 255).astype(np.uint8), factor


def _text(text: str, most: int = 200) -> str:
    return escape(shortened(text, most))
