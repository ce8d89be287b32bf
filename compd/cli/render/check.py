"""What a look at a pair says, for people."""

from __future__ import annotations

from collections.abc import Sequence

from compd.cli.render.tables import flips, natural, percent, percent_of, print_facts
from compd.pair.preflight import FileFacts, Preflight

__all__ = ["print_check"]

_SHADOWS = {
    "own": "that of the pair",
    "converted": "the deployed file, converted to torch",
    "quantised": "the original, quantised here",
    "original": "the original itself",
    "none": "nothing: no gradients",
}
_BATCHING = {
    "depends": "its answer to an image depends on the others in its batch: asked image by image",
    "one": "takes one image a call",
}
_KINDS = 6  # operators named


def print_check(checked: Preflight, notes: Sequence[str] = ()) -> None:
    """Print one screen."""
    rows: list[tuple[str, str]] = []
    for file in checked.files:
        rows.append((file.role, f"{file.name}, {file.engine}, sha256 {file.sha256[:12]}…"))
        rows.append(("", file.input))
        if file.batching in _BATCHING and ", batch 1 ->" not in file.input:  # which says it
            rows.append(("", _BATCHING[file.batching]))
        if file.census:
            rows.append(("", _census(file)))
        if file.compressed:
            rows.append(("", f"compressed: {', '.join(file.compressed)}"))
    images = f"{checked.images} (rows {checked.rows}), classes answered: {checked.classes_answered}"
    rows.append(("clean images", images))
    if checked.original_accuracy is not None:
        rows.append(
            (
                "accuracy",
                f"original {percent_of(checked.original_accuracy, checked.images)}, deployed "
                f"{percent_of(checked.deployed_accuracy, checked.images)}",
            )
        )
    apart = natural(checked.natural_disagreement, checked.natural_ties, checked.images)
    rows.append(("natural disagreement", apart))
    if checked.flips is not None:
        rows.append(("flips", flips(checked.flips.to_json())))
    shadow = _SHADOWS[checked.shadow]
    if checked.shadow_disagreement is not None and checked.shadow_error is not None:
        shadow += (
            f"; {percent_of(checked.shadow_disagreement, checked.shadow_images)} of "
            f"{checked.shadow_images} labels differ from the deployed model, logits by "
            f"{percent(checked.shadow_error)} of their spread"
        )
    rows.append(("shadow", shadow))
    if checked.clipped is not None:
        share = f"{100 * checked.clipped:.3f} %"
        rows.append(
            ("clipped", f"{share} of the values at {checked.clipped_layer}, the worst layer")
        )
    rows += [("note", note) for note in notes]
    rows += [("warning", warning) for warning in checked.warnings]
    print_facts("", rows)


def _census(file: FileFacts) -> str:
    share = file.int8_share
    parts = []
    for kind, found in sorted(file.census.items(), key=lambda item: -sum(item[1].values())):
        most = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        names = ", ".join(f"{name} {count}" for name, count in most[:_KINDS])
        more = f", {len(most) - _KINDS} more kinds" if len(most) > _KINDS else ""
        parts.append(f"{sum(found.values())} in {kind} ({names}{more})")
    whole = f"{percent(share)} of operators in integers: " if share else ""
    return whole + "; ".join(parts)
