"""Every search on the same pair and the same seeds, judged by the same code on the real model.

The seeds are those of the test split's first half on which both models agree. What counts is judged
on the original and the deployed model after a PNG round trip. The shares of severity are of all
seeds, by the most severe deviation of each. The searches without gradients run on the first
``--query-seeds`` of the same seeds, because published operators need all of their budget.

    python benchmarks/search.py --seeds 500
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest import mock

import numpy as np
import setup as bench

from compd.data import Splits
from compd.models import inputs
from compd.pair import Pair
from compd.search import Blackbox, Boundary, Compd, Dflare, Diva, Pgd, fuzz

PUBLISHED = "COMPD as published (batch 1, no bound)"
SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "COMPD, batched": {"strategy": Compd()},
    "DIVA, 20 steps": {"strategy": Diva()},
    "PGD on the shadow, 20 steps": {"strategy": Pgd()},
    "boundary, first": {"strategy": Boundary()},
    "boundary, severe": {"strategy": Boundary(), "goal": "severe"},
    "DFLARE's operators": {"strategy": Dflare()},
    "blackbox": {"strategy": Blackbox()},
}
WITHOUT_GRADIENTS = (Blackbox, Dflare)
COLUMNS = (
    "pair",
    "bound",
    "search",
    "seeds effective",
    "gradients a seed",
    "forwards a seed",
    "ms a seed",
    "ms an effective seed",
    "COMPD as published : this",
    "severity median",
    "p90",
    "median of all seeds",
    "≥ 0.05",
    "≥ 0.2",
    "≥ 0.5",
    "Linf",
    "L2 per pixel",
    "wall : models",
)


def run(
    pair: Pair,
    splits: Splits,
    search: str,
    eps: int | None,
    limit: int,
    published: float | None,
    **settings: Any,
) -> tuple[tuple[object, ...], float]:
    """One search: its row, and milliseconds an effective seed."""
    campaign = fuzz(pair, splits.seeds, eps=eps, limit=limit, **settings)
    worst: dict[str, float] = {}
    for finding in campaign:
        worst[finding.seed_row] = max(worst.get(finding.seed_row, 0.0), finding.severity)
    s = campaign.summary()
    severities = np.zeros(s.seeds)
    severities[: len(worst)] = list(worst.values())
    per_hit = 1000 * s.seconds / max(1, s.seeds_effective)
    ratio = "1" if published is None else f"{published / per_hit:.1f}"
    row = (
        f"{s.seeds_effective} of {s.seeds} ({s.seeds_effective / s.seeds:.1%})",
        f"{s.gradients_per_seed:.2f}",
        f"{s.forwards_per_seed:.1f}",
        f"{1000 * s.seconds / s.seeds:.1f}",
        f"{per_hit:.1f}",
        ratio,
        *("–" if v is None else f"{v:.3f}" for v in (s.severity_median, s.severity_p90)),
        f"{np.median(severities):.3f}",
        *(f"{np.mean(severities >= level):.1%}" for level in (0.05, 0.2, 0.5)),
        s.linf_max,
        "–" if s.l2_mean is None else f"{s.l2_mean:.4f}",
        f"{s.seconds / s.model_seconds:.2f}",
    )
    bound = "none" if eps is None else f"{eps}/255"
    return (pair.spec.engine, bound, search, *row), per_hit


def main() -> None:
    options = bench.arguments(
        __doc__ or "",
        seeds=500,
        engine="fbgemm",
        bounds="8,4,2,1",
        pairs="int8,pruned",
        **{"query-seeds": 100, "published-seeds": 100},
    )
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    rows = []
    for name in options.pairs.split(","):
        compress = bench.QAT if name == "int8" else bench.PRUNED
        pair = bench.pair_of(options, splits, compress, options.engine if name == "int8" else None)
        for _ in fuzz(pair, splits.seeds, strategy=Boundary(steps=2), limit=64, eps=8):
            pass  # the first calls set kernels up
        pair.batch = 1
        # no padding: batch 1 as it is
        with mock.patch.object(inputs, "filled", lambda x, least: x):
            row, published = run(
                pair,
                splits,
                PUBLISHED,
                None,
                options.published_seeds,
                None,
                strategy=Compd(clip=False, drift=True),
            )
        pair.batch = None
        rows.append((name, *row[1:]))
        print(" | ".join(map(str, rows[-1])), flush=True)
        for eps in map(int, options.bounds.split(",")):
            for search, settings in SEARCHES.items():
                gradients = not isinstance(settings["strategy"], WITHOUT_GRADIENTS)
                if not gradients and (name != "int8" or options.query_seeds == 0):
                    continue
                limit = options.seeds if gradients else options.query_seeds
                row, _ = run(pair, splits, search, eps, limit, published, **settings)
                rows.append((name, *row[1:]))
                print(" | ".join(map(str, rows[-1])), flush=True)
    bench.show(f"Searches from {splits.seeds.rows}", COLUMNS, rows)


if __name__ == "__main__":
    main()
