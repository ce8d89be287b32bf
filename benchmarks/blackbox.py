"""The searches without gradients, side by side: blackbox, and DFLARE's operators.

A query is one candidate, judged by the original and the int8 model. ``severe`` seeds are searched
again for the worst that the same budget finds.

    python benchmarks/blackbox.py --seeds 500 --queries 2000 --eps 8 --severe 50
"""

from __future__ import annotations

from typing import Any

import numpy as np
import setup as bench

from compd.data import Split
from compd.pair import Pair
from compd.search import Blackbox, Dflare, fuzz

COLUMNS = (
    "search",
    "bound",
    "seeds effective",
    "queries to a seed's first deviation, median",
    "p90",
    "queries a seed",
    "severity of a seed's worst, median",
    "p90",
    "ms a seed",
    "ms an effective seed",
    "share in model calls",
)


def main() -> None:
    options = bench.arguments(
        __doc__ or "", seeds=500, queries=2000, eps=8, severe=50, engine="fbgemm"
    )
    splits = bench.splits_of(options)
    print(bench.machine())
    pair = bench.pair_of(options, splits, bench.QAT, options.engine)
    blackbox = Blackbox(queries=options.queries)
    searches: list[tuple[str, Any, int, str]] = [
        ("blackbox", blackbox, options.seeds, "first"),
        ("DFLARE's operators, bounded", Dflare(queries=options.queries), options.seeds, "first"),
    ]
    if options.severe:
        searches.append(("blackbox, severe", blackbox, options.severe, "severe"))
    rows = []
    for name, config, limit, goal in searches:
        figures = measure(pair, splits.seeds, config, options.eps, limit, goal)
        rows.append((name, f"{options.eps}/255", *figures))
        print(" | ".join(map(str, rows[-1])), flush=True)
    bench.show(f"Searches from {splits.seeds.rows}, int8 (QAT), {pair.spec.engine}", COLUMNS, rows)


def measure(
    pair: Pair, seeds: Split, config: Any, eps: int, limit: int, goal: str
) -> tuple[object, ...]:
    """Run one search; the columns from the third on."""
    campaign = fuzz(pair, seeds, strategy=config, eps=eps, limit=limit, goal=goal)
    first: dict[str, int] = {}
    worst: dict[str, float] = {}
    for finding in campaign:
        first.setdefault(finding.seed_row, finding.step + 1)
        worst[finding.seed_row] = max(worst.get(finding.seed_row, 0.0), finding.severity)
    s = campaign.summary()
    nothing = [float("nan")]
    queries = np.quantile(list(first.values()) or nothing, [0.5, 0.9])
    severity = np.quantile(list(worst.values()) or nothing, [0.5, 0.9])
    return (
        f"{s.seeds_effective} of {s.seeds} ({s.seeds_effective / s.seeds:.1%})",
        # --goal severe hands out each seed's worst, at its end
        *(f"{q:.0f}" if goal == "first" else "–" for q in queries),
        f"{s.forwards_per_seed:.0f}",
        f"{severity[0]:.2f}",
        f"{severity[1]:.2f}",
        f"{1000 * s.seconds / s.seeds:.0f}",
        f"{1000 * s.seconds / max(1, s.seeds_effective):.0f}",
        f"{s.model_seconds / s.seconds:.0%}",
    )


if __name__ == "__main__":
    main()
