"""The published searches on one third-party network, int8 and pruned, on the same seeds.

Prints accuracies, natural disagreement, and one row a search: seeds with an effective deviation,
images by verdict (the paper's counting), severity, distances, cost.

    python benchmarks/published_search.py --seeds 500 --bounds 8,none
    python benchmarks/published_search.py --model resnet18 --width 16 --weights … --seeds 2000 \
        --searches COMPD --bounds none --fine-tune-epochs 3
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import setup as bench

from compd.pair.evaluation import evaluate
from compd.search import Compd, Diva, fuzz

SEARCHES: Mapping[str, Any] = {
    "COMPD": Compd(),
    "COMPD + coverage (λ 20)": Compd(coverage="neuron"),
    "DIVA, 20 steps": Diva(),
}
COLUMNS = (
    "pair",
    "search",
    "bound",
    "seeds effective",
    "images effective / valid / invalid",
    "severity median",
    "p90",
    "Linf",
    "L2 per pixel",
    "ms a seed",
    "ms an effective seed",
    "share in model calls",
)


def main() -> None:
    options = bench.arguments(
        __doc__ or "",
        seeds=500,
        engine="fbgemm",
        bounds="8,none",
        searches="",
        pairs="int8,pruned",
        **{"fine-tune-epochs": 14},
    )
    splits = bench.splits_of(options)
    print(bench.machine())
    # ResNet-20 needs a long fine-tuning after pruning; wider networks do with less.
    pruned = replace(bench.PRUNED, epochs=options.fine_tune_epochs)
    rows = []
    for name, compress in (("int8 (QAT)", bench.QAT), ("pruned 75 %", pruned)):
        if name.split()[0] not in options.pairs.split(","):
            continue
        engine = options.engine if name.startswith("int8") else None
        pair = bench.pair_of(options, splits, compress, engine)
        seen = evaluate(pair, splits.test(), shadow=None)
        print(
            f"{name}, {pair.spec.engine}: original {seen.accuracy(seen.original):.2%}, shadow "
            f"{seen.accuracy(seen.shadow):.2%}, deployed {seen.accuracy(seen.deployed):.2%}, "
            f"natural disagreement {seen.natural_disagreement:.2%}, shadow against deployed "
            f"{seen.shadow_disagreement:.2%}, rows {seen.split.rows}",
            flush=True,
        )
        for bound in options.bounds.split(","):
            eps = None if bound == "none" else int(bound)
            for search, config in SEARCHES.items():
                if not search.startswith(options.searches):
                    continue
                campaign = fuzz(pair, splits.seeds, strategy=config, eps=eps, limit=options.seeds)
                for _ in campaign:
                    pass
                s = campaign.summary()
                per_seed = 1000 * s.seconds / s.seeds
                per_hit = 1000 * s.seconds / max(1, s.seeds_effective)
                rows.append(
                    (
                        name,
                        search,
                        "none" if eps is None else f"{eps}/255",
                        f"{s.seeds_effective} of {s.seeds} ({s.seeds_effective / s.seeds:.1%})",
                        f"{s.images_effective} / {s.images_valid} / {s.images_invalid}",
                        s.severity_median,
                        s.severity_p90,
                        s.linf_max,
                        s.l2_mean,
                        f"{per_seed:.0f}",
                        f"{per_hit:.0f}",
                        f"{s.model_seconds / s.seconds:.0%}",
                    )
                )
                print(" | ".join(map(str, rows[-1])), flush=True)
    bench.show(f"Searches from {splits.seeds.rows}", COLUMNS, rows)


if __name__ == "__main__":
    main()
