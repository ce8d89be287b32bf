"""Does coverage help? The boundary walk with each kind of feedback, on int8 and pruned pairs.

With feedback, the first half of the steps is shared out evenly, the other half by how many units a
seed was the first to light.

    python benchmarks/coverage.py --seeds 500
"""

from __future__ import annotations

import numpy as np
import setup as bench

from compd.search import Boundary, fuzz

COLUMNS = (
    "pair",
    "goal",
    "bound",
    "feedback",
    "seeds effective",
    "gradients a seed",
    "forwards a seed",
    "severity, median of all seeds",
    "≥ 0.5",
    "flips",
    "ms a seed",
)


def main() -> None:
    options = bench.arguments(__doc__ or "", seeds=500, engine="fbgemm")
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    rows = []
    for name, compress in (("int8", bench.QAT), ("pruned", bench.PRUNED)):
        pair = bench.pair_of(options, splits, compress, options.engine if name == "int8" else None)
        for goal, eps in (("first", 1), ("severe", 2)):
            for kind in ("none", "neuron", "channel", "layer"):
                campaign = fuzz(
                    pair,
                    splits.seeds,
                    strategy=Boundary(coverage=kind),
                    eps=eps,
                    goal=goal,
                    limit=options.seeds,
                )
                findings = list(campaign)
                s = campaign.summary()
                severities = np.zeros(s.seeds)
                severities[: len(findings)] = [f.severity for f in findings]
                rows.append(
                    (
                        name,
                        goal,
                        f"{eps}/255",
                        kind,
                        f"{s.seeds_effective} of {s.seeds} ({s.seeds_effective / s.seeds:.1%})",
                        f"{s.gradients_per_seed:.2f}",
                        f"{s.forwards_per_seed:.1f}",
                        f"{np.median(severities):.3f}",
                        f"{np.mean(severities >= 0.5):.1%}",
                        len({(f.original.label, f.deployed.label) for f in findings}),
                        f"{1000 * s.seconds / s.seeds:.0f}",
                    )
                )
                print(" | ".join(map(str, rows[-1])), flush=True)
    bench.show(f"Coverage as feedback, from {splits.seeds.rows}", COLUMNS, rows)


if __name__ == "__main__":
    main()
