"""A search on a simulated low-bit model: what each saving saves, in turns in one process.

"Before" is put back piece by piece: activations are rounded on two new tensors, weights in each
call, the deployed model is replayed image by image, climbs go on where both models are sure, and
begin as if no boundary were at hand. Ratios are of processor time, which other processes disturb
less.

    python benchmarks/low_bits.py --seeds 200 --rounds 3
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from unittest import mock

import setup as bench
import torch
from torch import Tensor
from torch.ao.quantization.fake_quantize import FakeQuantize

from compd.compress import Ptq, quantiser
from compd.data import Split
from compd.pair import Pair
from compd.runtimes import FloatRuntime
from compd.search import Boundary, Finding, StabilityCheck, fuzz

NO_END = 2.0  # a severity that there is not


@dataclass(frozen=True)
class Variant:
    """What of the savings is on."""

    in_place: bool = True
    once: bool = True
    steady: bool = True
    sure: float = Boundary().sure


VARIANTS = {
    "before": Variant(False, False, False, NO_END),
    "activations rounded on one new tensor": Variant(True, False, False, NO_END),
    "and frozen weights once": Variant(True, True, False, NO_END),
    "and steady models not replayed one by one": Variant(True, True, True, NO_END),
    "and climbs end at severity 0.99: now": Variant(),
}


@dataclass(frozen=True)
class Run:
    """What came of one search."""

    wall: float  # seconds of the search
    search: float  # of processor time
    replay: float  # the same, for the findings
    effective: int
    gradients: float  # a seed
    forwards: float
    severities: Tensor  # (N,)
    digest: str  # of all findings


class Unsteady(FloatRuntime):
    """A module of which nobody knows whether its answers depend on the batch."""

    @property
    def steady(self) -> bool:
        """Not known."""
        return False


class Rounded(torch.autograd.Function):
    """Rounding as it was."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Any, zero_point: Any, *rest: Any) -> Tensor:
        """The same values."""
        scale, zero = torch.as_tensor(scale).reshape(()), int(zero_point)
        ctx.ends = rest[0] - zero, rest[1] - zero
        levels = (x * (1 / scale)).round_()
        ctx.save_for_backward(levels)
        made: Tensor = levels.clamp(*ctx.ends).mul_(scale)
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """The same gradient."""
        low, high = ctx.ends
        levels = ctx.saved_tensors[0]
        through = torch.ops.aten.hardtanh_backward(grads[0], levels, low - 0.5, high + 0.5)
        return through, None, None, None, None


@contextmanager
def patched(variant: Variant) -> Iterator[None]:
    with ExitStack() as stack:
        if not variant.in_place:
            stack.enter_context(mock.patch.object(quantiser, "rounded", Rounded.apply))
        if not variant.once:
            how = mock.patch.object(quantiser.WeightQuantiser, "forward", FakeQuantize.forward)
            stack.enter_context(how)
        yield


def run(pair: Pair, seeds: Split, limit: int, eps: int, variant: Variant) -> Run:
    findings: list[Finding] = []
    if not variant.steady:
        pair = pair.with_deployed(Unsteady(pair.shadow, pair.device, pair.deployed.engine))
    with patched(variant):
        begun = time.process_time()
        campaign = fuzz(
            pair,
            seeds,
            strategy=Boundary(sure=variant.sure),
            goal="severe",
            eps=eps,
            limit=limit,
            wrong_seeds="aside",
        )
        findings += campaign
        searched = time.process_time()
        StabilityCheck(pair)(findings)
        replayed = time.process_time()
    digest = hashlib.sha256()
    for one in findings:
        digest.update(f"{one.sha256} {one.seed_row} {one.severity} {one.verdict}".encode())
    s = campaign.summary()
    return Run(
        s.seconds,
        searched - begun,
        replayed - searched,
        s.seeds_effective,
        s.gradients_per_seed,
        s.forwards_per_seed,
        torch.tensor([one.severity for one in findings]),
        digest.hexdigest()[:8],
    )


def main() -> None:
    options = bench.arguments(__doc__ or "", seeds=200, eps=4, bits=4, rounds=3)
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    pair = bench.pair_of(options, splits, Ptq(weight_bits=options.bits))
    for _ in fuzz(pair, splits.seeds, limit=options.seeds, eps=options.eps):
        pass  # the first calls set kernels up, and ask for the clean images
    seen: dict[str, list[Run]] = {name: [] for name in VARIANTS}
    for _ in range(options.rounds):
        for name, variant in VARIANTS.items():
            one = run(pair, splits.seeds, options.seeds, options.eps, variant)
            print(f"{name}: {one.search:.1f} s, replaying {one.replay:.1f} s", flush=True)
            seen[name].append(one)
    print_rows(seen, options.seeds)


def print_rows(seen: dict[str, list[Run]], seeds: int) -> None:
    def of(name: str, value: Callable[[Run], float]) -> float:
        return median(map(value, seen[name]))

    rows = []
    first = next(iter(seen))
    for name, runs in seen.items():
        one = runs[0]
        low, half = one.severities.quantile(torch.tensor([0.1, 0.5])).tolist()
        searched, whole = of(name, lambda r: r.search), of(name, lambda r: r.search + r.replay)
        before = of(first, lambda r: r.search), of(first, lambda r: r.search + r.replay)
        rows.append(
            (
                name,
                f"{of(name, lambda r: r.wall):.1f}",
                f"{searched:.1f}",
                f"{before[0] / searched:.2f}",
                f"{whole:.1f}",
                f"{before[1] / whole:.2f}",
                f"{one.effective} of {seeds}",
                f"{one.gradients:.2f}",
                f"{one.forwards:.1f}",
                f"{low:.3f} / {half:.3f}",
                one.digest,
            )
        )
    columns = (
        "search",
        "wall, s",
        "processor, s",
        "before : this",
        "and replaying, s",
        "before : this",
        "seeds effective",
        "gradients a seed",
        "forwards a seed",
        "severity p10 / median",
        "findings",
    )
    bench.show("Medians over the rounds", columns, rows)


if __name__ == "__main__":
    main()
