"""Several quantised models instead of one: the offline repair of Hu et al. (2022, §6.1).

The mean of their probabilities answers, at the cost of them all. Members are the original
quantised after training, with activations of 7 and of 8 bits, and calibrated on two halves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from compd.compress import make_shadow
from compd.compress.int8 import calibrated, new_shadow
from compd.compress.ptq import Ptq
from compd.errors import SettingError
from compd.models.inputs import to_input
from compd.pair import Pair
from compd.runtimes import Runtime
from compd.search import fuzz
from compd.statistics import Share
from compd.studies.base import Study
from compd.studies.bench import Bench
from compd.studies.bits import lacks_calibration
from compd.studies.metrics import mean_of

__all__ = ["ENSEMBLE", "Ensemble", "EnsembleResult", "MemberFigures"]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ensemble:
    """Settings of the study."""

    eps: int = 4  # of the severe search, levels of 255
    seeds: int = 50  # to search from; 0: no search

    def __post_init__(self) -> None:
        if not 1 <= self.eps <= 255 or self.seeds < 0:
            raise SettingError("1 <= eps <= 255 and seeds >= 0", eps=self.eps, seeds=self.seeds)


@dataclass(frozen=True)
class MemberFigures:
    """A member, or the whole ensemble, against the original."""

    name: str
    calls: int  # of int8 models for an answer
    accuracy: float | None  # on clean images
    disagreement: Share  # on clean images
    shifted_disagreement: float | None  # mean over shifted sets
    kl: float | None  # mean of KL(original || this), clean images, nats
    flipped: int  # of the seeds of the severe search
    seeds: int
    severity_median: float | None  # of the seeds that flipped
    severity_max: float | None


@dataclass(frozen=True)
class EnsembleResult:
    """The members, and the ensemble last."""

    eps: int
    models: tuple[MemberFigures, ...]


class MeanModule(nn.Module):
    """The logarithm of the mean of several models' probabilities."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Float pixels (N, C, H, W) to (N, K)."""
        return log_mean([member(x) for member in self.members])


class MeanRuntime(Runtime):
    """Several runtimes, asked one after the other."""

    def __init__(self, members: Sequence[Runtime]) -> None:
        self._members = tuple(members)

    @property
    def engine(self) -> str:
        """Those of the members."""
        return "+".join(dict.fromkeys(one.engine for one in self._members))

    @property
    def content_hash(self) -> str:
        """Of the members' hashes."""
        return hashlib.sha256(
            "".join(one.content_hash for one in self._members).encode()
        ).hexdigest()

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 (N, K)."""
        return log_mean([one.run(images) for one in self._members])


def log_mean(logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of the probabilities of logits (N, K) each."""
    return (
        torch.stack([one.log_softmax(1) for one in logits]).logsumexp(0)
        - torch.tensor(float(len(logits))).log()
    )


def _run(config: Ensemble, bench: Bench) -> EnsembleResult:
    members = _members(bench)
    shadow = MeanModule([pair.shadow for pair in members.values()]).eval()
    first = next(iter(members.values()))
    whole = Pair(
        first.spec,
        bench.pair.original,
        shadow,
        device=_CPU,
        deployed=MeanRuntime([pair.deployed for pair in members.values()]),
        reference=bench.pair.reference,
    )
    found = []
    pairs = {**members, "ensemble": whole}
    for done, (name, pair) in enumerate(pairs.items()):
        bench.control.report("ensemble", done, len(pairs), {"model": name})
        calls = len(members) if pair is whole else 1
        found.append(_figures(config, bench, name, pair, calls))
    bench.control.report("ensemble", len(pairs), len(pairs))
    return EnsembleResult(config.eps, tuple(found))


def _members(bench: Bench) -> dict[str, Pair]:
    splits, pair = bench.splits, bench.pair
    assert splits is not None
    members = {}
    for bits in (7, 8):
        ptq = Ptq(8, bits)
        shadow = make_shadow(ptq, pair.original, splits, device=_CPU, control=bench.control.quiet)
        members[f"w8a{bits}"] = pair.with_shadow(shadow, ptq)
    images = splits.calibration.images
    for name, rows in (("first half", images[::2]), ("second half", images[1::2])):
        empty = new_shadow(
            pair.original, example=to_input(images[:1]), activation_bits=8, histogram=True
        )
        members[f"w8a8, {name}"] = pair.with_shadow(calibrated(empty, rows), Ptq(8, 8))
    return members


def _figures(config: Ensemble, bench: Bench, name: str, pair: Pair, calls: int) -> MemberFigures:
    clean = bench.answers(bench.clean, pair)
    shifted = [bench.answers(one, pair).disagreement.share for one in bench.shifted]
    severities: list[float] = []
    searched = 0
    if config.seeds:
        campaign = fuzz(
            pair,
            bench.rows,
            eps=config.eps,
            goal="severe",
            limit=config.seeds,
            random_seed=bench.random_seed,
            control=bench.control.quiet,
        )
        best: dict[str, float] = {}
        for finding in campaign:
            best[finding.seed_row] = max(finding.severity, best.get(finding.seed_row, 0.0))
        severities = sorted(best.values())
        searched = campaign.summary().seeds
    return MemberFigures(
        name=name,
        calls=calls,
        accuracy=clean.accuracy(True),
        disagreement=clean.disagreement,
        shifted_disagreement=mean_of(shifted),
        kl=clean.divergence,
        flipped=len(severities),
        seeds=searched,
        severity_median=median(severities) if severities else None,
        severity_max=max(severities, default=None),
    )


ENSEMBLE = Study(Ensemble, _run, EnsembleResult, lacks=lacks_calibration)
