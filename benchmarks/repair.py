"""Repair methods side by side: same pair, corpus and time, and the verdict on held-out rows.

    python benchmarks/repair.py --pairs int8,pruned --methods walk,paper --random-seeds 0,1,2

The published method knows no rule by which to keep a round but test accuracy, so with
``--keep-last paper`` its last one is judged, better or not.

The corpus is searched once a pair, from the test split's first half. One line a repair, as it ends;
then the means and the smallest and largest values over the random seeds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import setup as bench

from compd.corpus import Corpus, collect
from compd.data import Splits
from compd.pair import Pair
from compd.repairing import RepairResult, repair
from compd.repairing import method as repair_method
from compd.search import Boundary, fuzz

MEASURES: dict[str, Callable[[RepairResult], tuple[float, float]]] = {
    "accuracy, %": lambda r: (100 * r.accuracy_before, 100 * r.accuracy_after),
    "natural disagreement, %": lambda r: (100 * r.natural_before, 100 * r.natural_after),
    "fixed / new": lambda r: (r.fixed, r.new),
    "KL, 0.001 nats": lambda r: (1000 * r.kl_before, 1000 * r.kl_after),
    "corpus effective": lambda r: (r.corpus_effective_before, r.corpus_effective_after),
    "held-out findings effective": lambda r: (
        r.heldout_effective_before,
        r.heldout_effective_after,
    ),
    **{
        f"{search}: seeds ≥ {level}, %": lambda r, search=search, level=level: next(
            (100 * f.severity_shares_before[level], 100 * f.severity_shares_after[level])
            for f in r.fresh
            if f.search == search
        )
        for search in ("boundary, severe", "diva", "compd", "blackbox")
        for level in ("0.2", "0.5")
    },
    **{
        f"{attack}, %": lambda r, attack=attack: next(
            (100 * a.before, 100 * a.after) for a in r.robust if a.attack == attack
        )
        for attack in ("FGSM 2/255", "FGSM 8/255", "FGSM 16/255", "PGD-20 8/255")
    },
}


def corpus_of(pair: Pair, splits: Splits, folder: Path, seeds: int, eps: int) -> Corpus:
    """What both goals of the boundary walk find from the test split's first half."""
    corpus = Corpus(folder, create=True)
    for goal in ("first", "severe"):
        campaign = fuzz(pair, splits.seeds, strategy=Boundary(), goal=goal, eps=eps, limit=seeds)
        sum(collect(campaign, corpus))
    return corpus


def severe_shares(pair: Pair, splits: Splits, eps: int, limit: int) -> tuple[float, float]:
    """Shares of held-out seeds that reach severity 0.2 and 0.5 within a bound."""
    half = len(splits.heldout) // 2
    seeds = replace(
        splits.heldout,
        images=splits.heldout.images[:half],
        labels=splits.heldout.labels[:half],
        index=splits.heldout.index[:half],
    )
    campaign = fuzz(
        pair, seeds, strategy=Boundary(), goal="severe", eps=eps, limit=limit, random_seed=77
    )
    worst = [finding.severity for finding in campaign]
    count = campaign.summary().seeds
    return sum(s >= 0.2 for s in worst) / count, sum(s >= 0.5 for s in worst) / count


def main() -> None:
    options = bench.arguments(
        __doc__ or "",
        pairs="int8,pruned",
        methods="walk,distil,paper",
        seconds=240.0,
        rounds=2,
        seeds=300,
        eps=8,
        engine="fbgemm",
        out="",
        lr=0.0,
        **{"keep-last": "paper", "random-seeds": "0,1,2", "verdict-seeds": 100},
    )
    splits = bench.splits_of(options)
    print(bench.machine(), flush=True)
    for kind in options.pairs.split(","):
        compress, engine = (bench.QAT, options.engine) if kind == "int8" else (bench.PRUNED, None)
        pair = bench.pair_of(options, splits, compress, engine)
        with tempfile.TemporaryDirectory() as folder:
            corpus = corpus_of(pair, splits, Path(folder) / "corpus", options.seeds, options.eps)
            rows = []
            for method in options.methods.split(","):
                lr = options.lr or None if method != "paper" else None  # that one is published
                how = repair_method(method, lr=lr)
                results, smaller = [], []
                for seed in map(int, options.random_seeds.split(",")):
                    out = Path(folder) / f"{method}-{seed}"
                    result = repair(
                        pair,
                        corpus,
                        out=out,
                        splits=splits,
                        method=how,
                        seconds=options.seconds,
                        rounds=options.rounds,
                        eps=options.eps,
                        target=None,
                        random_seed=seed,
                        verdict_seeds=options.verdict_seeds,
                        keep="last" if method in options.keep_last.split(",") else "best",
                    )
                    results.append(result)
                    fixed = Pair.load(out, device="cpu")
                    smaller.append(
                        [
                            (
                                severe_shares(pair, splits, eps, options.verdict_seeds),
                                severe_shares(fixed, splits, eps, options.verdict_seeds),
                            )
                            for eps in (1, 2)
                        ]
                    )
                    if options.out:
                        file = Path(options.out) / f"{kind}-{method}-{seed}.json"
                        file.write_text(json.dumps(result.to_json()))
                    line = "; ".join(
                        f"{name} {before:g} -> {after:g}"
                        for name, measure in MEASURES.items()
                        for before, after in [measure(result)]
                    )
                    print(
                        f"{kind}, {method}, random seed {seed}: round {result.best_round} of "
                        f"{result.rounds}, {result.seconds} s; {line}; at 1, 2 {smaller[-1]}",
                        flush=True,
                    )
                rows += rows_of(kind, method, results, smaller)
        bench.show(
            f"Repair, {kind}: {len(corpus)} entries, {options.seconds:g} s",
            ("pair", "method", "measure", "before", "after (mean)", "smallest", "largest"),
            rows,
        )


def rows_of(
    kind: str, method: str, results: list[RepairResult], smaller: list[list[object]]
) -> list[tuple[object, ...]]:
    """One row a measure, over the random seeds."""
    rows: list[tuple[object, ...]] = []
    values = {name: [measure(r) for r in results] for name, measure in MEASURES.items()}
    for i, eps in enumerate((1, 2)):
        for j, level in enumerate((0.2, 0.5)):
            values[f"boundary, severe, within {eps}/255: seeds ≥ {level}, %"] = [
                (100 * one[i][0][j], 100 * one[i][1][j])  # type: ignore[index]
                for one in smaller
            ]
    for name, pairs in values.items():
        before, after = (np.array(column) for column in zip(*pairs, strict=True))
        rows.append(
            (
                kind,
                method,
                name,
                f"{before.mean():.2f}",
                f"{after.mean():.2f}",
                f"{after.min():.2f}",
                f"{after.max():.2f}",
            )
        )
    return rows


if __name__ == "__main__":
    main()
