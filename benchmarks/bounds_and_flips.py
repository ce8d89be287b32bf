"""The boundary walk under L2 bounds, and told to look for one flip only, on the int8 pair.

python benchmarks/bounds_and_flips.py --seeds 100
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import setup as bench

from compd.search import Boundary, Diva, flip, fuzz

SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "boundary, L2 of 128 levels (0.5)": {"norm": "l2", "eps": 128},
    "DIVA, L2 of 128 levels": {"norm": "l2", "eps": 128, "strategy": Diva()},
    "boundary, L2 of 64 levels": {"norm": "l2", "eps": 64},
    "boundary, L2 of 32 levels": {"norm": "l2", "eps": 32},
    "boundary, cat:dog within 8/255": {"eps": 8, "objective": flip("cat", "dog")},
    "boundary, cat:truck within 8/255": {"eps": 8, "objective": flip("cat", "truck")},
}


def main() -> None:
    options = bench.arguments(__doc__ or "", seeds=100, engine="fbgemm")
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    pair = bench.pair_of(options, splits, bench.QAT, options.engine)
    rows = []
    for name, settings in SEARCHES.items():
        how = {"strategy": Boundary(), **settings}
        campaign = fuzz(pair, splits.seeds, limit=options.seeds, **how)
        for _ in campaign:
            pass
        s = campaign.summary()
        rows.append(
            (
                name,
                f"{s.seeds_effective} of {s.seeds}",
                f"{s.gradients_per_seed:.2f}",
                f"{s.forwards_per_seed:.1f}",
                s.severity_median,
                s.linf_max,
                s.l2_mean,
            )
        )
        print(rows[-1], flush=True)
    columns = (
        "search",
        "seeds effective",
        "gradients a seed",
        "forwards a seed",
        "severity median",
        "Linf",
        "L2 per pixel",
    )
    bench.show(f"From {splits.seeds.rows}", columns, rows)


if __name__ == "__main__":
    main()
