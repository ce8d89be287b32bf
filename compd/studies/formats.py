"""What each part of a format costs (Hu et al. 2022, table 2), without their confound.

Published columns mix two things: LiteRT's 8 bits round activations, too, and Core ML's round
weights alone. Here the same network is rounded step by step: weights to float16, weights to 8 bits
(linear for each channel, and by a table of 256 values, as Core ML's converters do it), then weights
and activations to 8 bits. Weights that were rounded are computed with in float32, as runtimes on a
CPU do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from compd.compress import make_shadow
from compd.compress.ptq import Ptq
from compd.errors import unknown
from compd.runtimes import FloatRuntime, Runtime
from compd.statistics import Share
from compd.studies.base import Study
from compd.studies.bench import Answered, Bench
from compd.studies.bits import lacks_calibration
from compd.studies.metrics import mean_of
from compd.text import names_in

__all__ = ["FORMATS", "FormatFigures", "FormatSet", "Formats", "FormatsResult"]

_CPU = torch.device("cpu")
_TABLE = 256  # values of a table of 8 bits


def half(weight: Tensor) -> Tensor:
    """Weights through float16."""
    return weight.half().float()


def linear(weight: Tensor) -> Tensor:
    """Weights of 8 bits, symmetric, with a scale for each output channel."""
    scale = weight.flatten(1).abs().amax(1).clamp(min=1e-12) / 127
    shape = (-1, *[1] * (weight.ndim - 1))
    return (weight / scale.view(shape)).round().clamp(-127, 127) * scale.view(shape)


def table(weight: Tensor) -> Tensor:
    """Weights of 8 bits by a table for each tensor: k-means from quantiles."""
    from sklearn.cluster import KMeans

    values = weight.flatten().double().numpy()
    if len(np.unique(values)) <= _TABLE:
        return weight.clone()
    first = np.quantile(values, (np.arange(_TABLE) + 0.5) / _TABLE)[:, None]
    found = KMeans(_TABLE, init=first, n_init=1, max_iter=50).fit(values[:, None])
    rounded = found.cluster_centers_[found.labels_, 0]
    return torch.from_numpy(rounded).to(weight.dtype).view_as(weight)


WEIGHTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "weights16": half,
    "weights8": linear,
    "table8": table,
}
_BITS = {"w8a7": 7, "w8a8": 8}


@dataclass(frozen=True)
class Formats:
    """Settings of the study."""

    formats: str = "weights16,weights8,table8,w8a8,w8a7"  # with commas (or +) between

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in {*WEIGHTS, *_BITS}:
                raise unknown("format", name, [*WEIGHTS, *_BITS])

    @property
    def names(self) -> list[str]:
        """The formats, in order."""
        return list(dict.fromkeys(names_in(self.formats.replace("+", ","))))


@dataclass(frozen=True)
class FormatSet:
    """One format on one set."""

    name: str
    accuracy_change: float | None  # this format minus the original, 0..1
    disagreement: Share


@dataclass(frozen=True)
class FormatFigures:
    """One format of the original."""

    name: str
    accuracy: float | None  # on clean images
    disagreement: Share  # on clean images
    kl: float | None  # mean of KL(original || this), clean images, nats
    mean_change: float | None  # mean over sets of the absolute change of accuracy
    shifted_disagreement: float | None  # mean over shifted sets
    more_under_shift: int  # shifted sets with more disagreement than the clean one
    sets: tuple[FormatSet, ...]


@dataclass(frozen=True)
class FormatsResult:
    """All formats."""

    formats: tuple[FormatFigures, ...]


def _run(config: Formats, bench: Bench) -> FormatsResult:
    found: list[FormatFigures] = []
    for name, runtime in _forms(config, bench):
        bench.control.report("formats", len(found), len(config.names), {"format": name})
        found.append(_figures(name, runtime, bench))
    bench.control.report("formats", len(found), len(found))
    return FormatsResult(tuple(found))


def _forms(config: Formats, bench: Bench) -> Iterator[tuple[str, Runtime]]:
    pair, splits = bench.pair, bench.splits
    assert splits is not None
    for name in config.names:
        bench.control.check()
        if name in WEIGHTS:
            yield name, FloatRuntime(with_weights(pair.original, WEIGHTS[name]), _CPU, name)
        else:
            ptq = Ptq(8, _BITS[name])
            quiet = bench.control.quiet
            shadow = make_shadow(ptq, pair.original, splits, device=_CPU, control=quiet)
            yield name, pair.with_shadow(shadow, ptq).deployed


def with_weights(network: nn.Module, rounding: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy with the weights of its layers rounded; biases and normalisations stay."""
    rounded = copy.deepcopy(network).to(_CPU).eval()
    with torch.no_grad():
        for weight in rounded.parameters():
            if weight.ndim > 1:
                weight.copy_(rounding(weight.contiguous()))
    return rounded


def _figures(name: str, runtime: Runtime, bench: Bench) -> FormatFigures:
    seen = []
    for images in bench.sets:
        original, own = bench.logits([bench.pair.reference, runtime], images)
        seen.append(Answered(images, original, own, bench.pair.heads))
    clean = seen[0]
    sets = [FormatSet(one.images.name, one.accuracy_change, one.disagreement) for one in seen]
    changes = [abs(one.accuracy_change) for one in sets if one.accuracy_change is not None]
    shares = [one.disagreement.share for one in seen[1:] if one.images.paired]
    return FormatFigures(
        name=name,
        accuracy=clean.accuracy(True),
        disagreement=clean.disagreement,
        kl=clean.divergence,
        mean_change=mean_of(changes),
        shifted_disagreement=mean_of(shares),
        more_under_shift=sum(share > clean.disagreement.share for share in shares),
        sets=tuple(sets),
    )


FORMATS = Study(Formats, _run, FormatsResult, lacks=lacks_calibration)
