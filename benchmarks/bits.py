"""What rounding alone costs: calibrated int8 models of 7 and 8 bits beside the trained one.

No repair can be much nearer to the original than the original's own weights with fewer rounding
errors. So these say what a repair can reach.

    python benchmarks/bits.py --seeds 100
"""

from __future__ import annotations

import setup as bench

from compd.compress import Compression, Ptq
from compd.logits import disagrees, divergence
from compd.models.inputs import predict
from compd.search import Boundary, Diva, fuzz

PAIRS: dict[str, Compression] = {
    "trained (QAT), 7 bits": bench.QAT,
    "calibrated (PTQ), 7 bits": Ptq(),
    "calibrated (PTQ), activations 8, weights 7 bits": Ptq(weight_bits=7, activation_bits=8),
    "calibrated (PTQ), 8 bits": Ptq(activation_bits=8),
}


def main() -> None:
    options = bench.arguments(__doc__ or "", seeds=100, engine="fbgemm")
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    heldout, rows = splits.heldout, []
    for name, config in PAIRS.items():
        pair = bench.pair_of(options, splits, config, options.engine)
        original = predict(pair.reference.run, heldout.images)
        deployed = predict(pair.deployed.run, heldout.images)
        kl = divergence(deployed, original)
        row = [
            name,
            f"{float(disagrees(deployed, original.argmax(1)).double().mean()):.2%}",
            f"{float(kl):.5f}",
        ]
        searches = [("severe", Boundary(), eps) for eps in (1, 2, 8)] + [("first", Diva(), 8)]
        for goal, strategy, eps in searches:
            campaign = fuzz(
                pair, heldout, strategy=strategy, goal=goal, eps=eps, limit=options.seeds
            )
            worst: dict[str, float] = {}
            for finding in campaign:
                worst[finding.seed_row] = max(worst.get(finding.seed_row, 0), finding.severity)
            shares = [sum(s >= level for s in worst.values()) for level in (0.2, 0.5)]
            row.append(" / ".join(f"{s / campaign.summary().seeds:.0%}" for s in shares))
        rows.append(row)
        print(row, flush=True)
    columns = (
        "int8 model",
        "natural disagreement",
        "KL, nats",
        "severe, 1/255",
        "severe, 2/255",
        "severe, 8/255",
        "DIVA, 8/255",
    )
    bench.show(
        f"From {heldout.rows}; shares of {options.seeds} seeds with severity ≥ 0.2 / ≥ 0.5",
        columns,
        rows,
    )


if __name__ == "__main__":
    main()
