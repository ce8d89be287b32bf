"""Does the batch size change what is found? The same seeds at several batch sizes, each engine.

Two findings are the same if seed, step, pixels and both answers are. The float models run in
other summation orders at other batch sizes; a gradient that differs in its last bit can round to
another pixel value.

    python benchmarks/batch_size.py --seeds 64
"""

from __future__ import annotations

import setup as bench

from compd.compress.int8 import ENGINES
from compd.search import Boundary, Compd, Diva, fuzz

SIZES = (1, 16, 64, 256)


def main() -> None:
    options = bench.arguments(__doc__ or "", seeds=64, eps=8)
    splits = bench.splits_of(options)
    print(bench.machine())
    rows = []
    for engine in ENGINES:
        pair = bench.pair_of(options, splits, bench.QAT, engine)
        for name, config in (("boundary", Boundary()), ("diva", Diva()), ("compd", Compd())):
            found = []
            for batch in SIZES:
                pair.batch = batch
                campaign = fuzz(
                    pair, splits.seeds, strategy=config, eps=options.eps, limit=options.seeds
                )
                found.append({(f.seed_row, f.step, f.sha256, f.deployed.label) for f in campaign})
            same = [f"{len(f & found[-1])} of {len(f | found[-1])}" for f in found[:-1]]
            seeds = [len({row for row, *_ in f}) for f in found]
            rows.append((engine, name, *same, " / ".join(map(str, seeds))))
            print(rows[-1], flush=True)
    columns = ["engine", "strategy", *(f"same findings, batch {b} and 256" for b in SIZES[:-1])]
    columns.append(f"seeds effective at batch {' / '.join(map(str, SIZES))}")
    bench.show(f"Batch sizes, {options.seeds} seeds, eps {options.eps}/255", columns, rows)


if __name__ == "__main__":
    main()
