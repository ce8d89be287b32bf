"""The same images on several runtimes: where their answers part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.errors import SettingError
from compd.images import pixel_hash
from compd.logits import disagrees, probabilities_of
from compd.models.inputs import predict
from compd.runtimes import Runtime

__all__ = ["Comparison", "Parting", "compare"]


@dataclass(frozen=True)
class Parting:
    """An image on which runtimes give different answers."""

    name: str  # of the image
    sha256: str  # of its pixels
    labels: tuple[int, ...]  # one a runtime
    margin: float  # the smallest of the margins: how sure all of them are


@dataclass(frozen=True)
class Comparison:
    """Answers of several runtimes to the same images."""

    names: tuple[str, ...]
    engines: tuple[str, ...]
    hashes: tuple[str, ...]  # SHA-256 of each artifact
    images: int
    apart: tuple[tuple[int, ...], ...]  # [i][j]: images on which j leaves i's answer; ties do not
    logits_apart: tuple[tuple[float, ...], ...]  # mean absolute difference; each image centred
    deviates: tuple[int, ...] | None  # images on which each leaves the given labels, if there are
    partings: tuple[Parting, ...]  # the surest first

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def compare(
    runtimes: Mapping[str, Runtime],
    images: Tensor,
    names: Sequence[str],
    *,
    labels: Tensor | None = None,
    batch: int = 64,
    control: Control = QUIET,
) -> Comparison:
    """Run images through several runtimes.

    Args:
        runtimes: by name; at least two.
        images: uint8 (N, C, H, W).
        names: of the images.
        labels: int64 (N,): the original's labels for the seeds of stored deviations; None for
            clean images.
        batch: images a call.
        control: told of progress.

    Raises:
        CompdError: if there are fewer than two runtimes, no images, or other classes.
    """
    if len(runtimes) < 2 or not len(images):
        raise SettingError(
            f"expected two runtimes or more and one image or more, got {len(runtimes)} and "
            f"{len(images)}"
        )
    logits = []
    for i, runtime in enumerate(runtimes.values()):
        control.report("comparing", i, len(runtimes))
        logits.append(predict(runtime.run, images, batch=batch))
    control.report("comparing", len(runtimes), len(runtimes))
    if len({one.shape[1] for one in logits}) > 1:
        raise SettingError(
            "expected runtimes of the same classes, got "
            + ", ".join(
                f"{one.shape[1]} of {name}" for name, one in zip(runtimes, logits, strict=True)
            )
        )
    said = torch.stack([one.argmax(1) for one in logits])  # (R, N)
    known = [runtime.head for runtime in runtimes.values()]
    usual = next((head for head in known if head is not None), "softmax")
    heads = [head or usual for head in known]
    return Comparison(
        names=tuple(runtimes),
        engines=tuple(runtime.engine for runtime in runtimes.values()),
        hashes=tuple(runtime.content_hash for runtime in runtimes.values()),
        images=len(images),
        apart=tuple(
            tuple(int(disagrees(other, one.argmax(1)).sum()) for other in logits) for one in logits
        ),
        logits_apart=tuple(
            tuple(float((_centred(one) - _centred(other)).abs().mean()) for other in logits)
            for one in logits
        ),
        deviates=(
            None if labels is None else tuple(int(disagrees(one, labels).sum()) for one in logits)
        ),
        partings=tuple(_partings(logits, heads, said, images, names)),
    )


def _partings(
    logits: Sequence[Tensor],
    heads: Sequence[str],
    said: Tensor,
    images: Tensor,
    names: Sequence[str],
) -> list[Parting]:
    margins = []
    for one, head in zip(logits, heads, strict=True):
        top = probabilities_of(one, head).topk(2).values
        margins.append(top[:, 0] - top[:, 1])
    least = torch.stack(margins).amin(0)
    # a tie is no answer of its own: who ties with what another says does not part from it
    rows = (
        torch.stack([disagrees(one, other) for one in logits for other in said])
        .any(0)
        .nonzero()[:, 0]
    )
    found = [
        Parting(
            names[i], pixel_hash(images[i]), tuple(said[:, i].tolist()), round(float(least[i]), 6)
        )
        for i in rows.tolist()
    ]
    return sorted(found, key=lambda one: (-one.margin, one.sha256))


def _centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(1, keepdim=True)
