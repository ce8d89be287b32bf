"""False alarms and power of the gate: pairs that are as good as the accepted one, and worse ones.

A pair is accepted, and its search recorded as ``compd baseline accept`` does. Then twenty pairs of
the same original come that are as good: recalibrated on other rows, or trained again with another
seed. And pairs with a planted defect of growing size: noise on the weights of one layer, its
weights at fewer bits, dead channels, calibration on images that are too dark.

    python benchmarks/gate_power.py --model lenet5 --data digits --weights '' --compress ptq
    python benchmarks/gate_power.py --model resnet18 --data digits --weights '' --compress qat
    python benchmarks/gate_power.py --compress ptq --eps 4 --rows 4000

``exit`` is the gate's own status with default flags but for the seeds.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import setup as bench
import torch
from torch import nn

from compd.cli.display import live
from compd.compress import Ptq, Qat, make_shadow
from compd.corpus import Corpus, collect
from compd.data import Dataset, Splits, load_data, part_of
from compd.gating import Baseline, GateResult, Policy, accept, baseline_of, gate, record_search
from compd.gating.record import SearchRecord
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.pair.evaluation import evaluate
from compd.search import Campaign, SearchSettings

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Tried:
    """One pair at the gate."""

    kind: str
    size: str
    result: GateResult
    apart: float  # natural disagreement, share of test rows

    def row(self) -> list[str]:
        """Of a table."""
        found = self.result.compared
        assert found is not None
        return [
            self.kind,
            self.size,
            f"{found.mean_now:.3f}",
            f"{found.chance:.1g}",
            str(len(found.worse)),
            f"{self.apart:.2%}",
            str(self.result.exit_code),
        ]


def rows_of(whole: Dataset, seed: int, count: int) -> Dataset:
    """Some training rows of a data set, in another order."""
    part = whole.train
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(part.labels), generator=draw)[:count]

    def load() -> object:
        return part_of(part.images[chosen], part.labels[chosen], len(whole.classes), whole.name)

    loaders = {**whole.loaders, "train": load}
    return replace(whole, identity=f"{whole.identity}-{seed}", loaders=loaders)


def as_good(pair: Pair, whole: Dataset, compress: str, count: int) -> Iterator[tuple[str, Pair]]:
    """Twenty pairs: ten recalibrated and ten trained again, or twenty of one kind."""
    original = copy.deepcopy(pair.original).requires_grad_(True)
    for seed in range(1, 21):
        splits = Splits(rows_of(whole, seed, count))
        config = Ptq() if compress == "ptq" else Qat(seed=seed)
        name = "recalibrated" if compress == "ptq" else "trained again"
        yield name, pair.with_shadow(make_shadow(config, original, splits, device=CPU), config)


def middle_layer(shadow: nn.Module) -> torch.Tensor:
    """The weights of the convolution in the middle."""
    weights = [one for _, one in shadow.named_parameters() if one.ndim == 4]
    return weights[len(weights) // 2]


def noise(amount: float) -> Callable[[nn.Module], None]:
    """On the weights, in parts of their deviation."""

    def plant(shadow: nn.Module) -> None:
        weight = middle_layer(shadow)
        drawn = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
        weight += drawn * weight.std() * amount

    return plant


def bits(number: int) -> Callable[[nn.Module], None]:
    """The weights rounded to fewer bits, one scale a channel."""

    def plant(shadow: nn.Module) -> None:
        weight = middle_layer(shadow)
        scale = weight.abs().amax((1, 2, 3), keepdim=True) / (2 ** (number - 1) - 1)
        weight.copy_((weight / scale).round() * scale)

    return plant


def dead(channels: int) -> Callable[[nn.Module], None]:
    """Output channels whose weights are 0."""

    def plant(shadow: nn.Module) -> None:
        middle_layer(shadow)[:channels] = 0

    return plant


def pale(whole: Dataset, contrast: float) -> Dataset:
    """A data set whose training images are darker: ranges that are set with them are too short."""
    part = whole.train
    dim = part_of(
        (part.images.float() * contrast).round().to(torch.uint8),
        part.labels,
        len(whole.classes),
        whole.name,
    )
    return replace(whole, identity=f"{whole.identity}-{contrast}", loaders={"train": lambda: dim})


DEFECTS: list[tuple[str, str, Callable[[nn.Module], None]]] = [
    *(("noise on a layer", f"{a:g} σ", noise(a)) for a in (0.01, 0.03, 0.06, 0.1, 0.2)),
    *(("a layer at fewer bits", f"{n} bits", bits(n)) for n in (7, 6, 5, 4, 3)),
    *(("dead channels", f"{n}", dead(n)) for n in (1, 2, 4, 8)),
]


def main() -> None:
    """Print both tables."""
    options = bench.arguments(__doc__ or "", compress="ptq", eps=16, seeds=50, rows=0)
    whole = load_data(options.data)
    count = options.rows or len(whole.train.labels)
    splits = Splits(rows_of(whole, 0, count) if options.rows else whole)
    with live() as control:
        pair = build_pair(
            options.model,
            data=splits,
            data_name="benchmark",
            weights=options.weights or None,
            width=options.width,
            compress=options.compress,
            control=control,
        )
    policy = Policy(seeds=options.seeds)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder) / "corpus", create=True)
        settings = SearchSettings(limit=20, eps=options.eps)
        sum(collect(Campaign(pair, splits.seeds, settings), corpus))
        path = baseline_of(corpus.directory)
        accept(corpus, path, "accepted")
        record_search(pair, corpus, path, splits, policy)
        record = SearchRecord.load(path)

        def passes(kind: str, size: str, other: Pair) -> Tried:
            result = gate(
                other, corpus, Baseline.load(path), policy=policy, splits=splits, record=record
            )
            apart = evaluate(other, splits.test(500)).natural_disagreement
            return Tried(kind, size, result, apart)

        print(bench.machine())
        same = passes("the accepted one", "", pair)
        found = [
            passes(name, str(number), other)
            for number, (name, other) in enumerate(
                as_good(pair, whole, options.compress, count), start=1
            )
        ]
        planted = []
        for kind, size, plant in DEFECTS:
            shadow = copy.deepcopy(pair.shadow)
            with torch.no_grad():
                plant(shadow)
            planted.append(passes(kind, size, pair.with_shadow(shadow)))
        for contrast in (0.95, 0.9, 0.8, 0.7, 0.6, 0.5):
            worse = Splits(pale(splits.dataset, contrast))
            shadow = make_shadow(Ptq(), pair.original, worse, device=CPU)
            size = f"{1 - contrast:.0%} darker"
            planted.append(passes("calibrated on darker images", size, pair.with_shadow(shadow)))
    head = ["pair", "size", "mean severity", "p", "seeds named", "natural", "exit"]
    for title, rows in (("as good", [same, *found]), ("with a defect", planted)):
        red = sum(one.result.exit_code == 1 for one in rows)
        bench.show(f"{title}: {red} of {len(rows)} red", head, [one.row() for one in rows])


if __name__ == "__main__":
    main()
