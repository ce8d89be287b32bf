"""How much smaller 1,000 findings get with every flip kept, and how long that takes.

Makes the findings by the default search (or reads a corpus of them), minimises each within the
bound of the search, and again without letting Linf rise; replays the results from disk; then
counts what of them suffices.

    python benchmarks/minimise.py --findings 1000 --eps 8
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import setup as bench

from compd.cli.display import live
from compd.corpus import (
    Corpus,
    MinimiseSettings,
    collect,
    minimise,
    rows_used,
    select_subset,
    stats,
    verify,
)
from compd.search import Campaign, SearchSettings

COLUMNS = (
    "bound",
    "flips kept",
    "changed pixels (median)",
    "cut (median of entries)",
    "changed values",
    "Linf",
    "L2 per pixel",
    "severity (median)",
    "s",
    "ms an entry",
    "trials an entry",
    "forwards of the original",
    "gradients",
)


def main() -> None:
    options = bench.arguments(
        __doc__ or "", findings=1000, eps=8, trials=400, batch=64, engine="x86", corpus=""
    )
    splits = bench.splits_of(options)
    pair = bench.pair_of(options, splits, bench.QAT, options.engine)
    print(bench.machine())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        found = Corpus(options.corpus or home / "found", create=True)
        if not len(found):
            # the walk stops at a seed's first deviation, and a few seeds have none
            settings = SearchSettings(eps=options.eps, limit=int(1.02 * options.findings) + 1)
            for _ in collect(Campaign(pair, splits.seeds, settings), found):
                pass
        first = Corpus(home / "first", create=True)
        records = list(found)[: options.findings]
        first.add((r, found.image(r), found.seed_image(r)) for r in records)
        before = stats(first)
        pair.batch = options.batch
        print(f"{len(first)} findings from {'; '.join(map(str, before.rows))}")
        rows = []
        for name, eps in ((f"{options.eps}/255", options.eps), ("Linf of the entry", 1)):
            small = Corpus(home / f"small-{eps}", create=True)
            # how small it gets: whatever is left of the severity
            effort = MinimiseSettings(trials=options.trials, eps=eps, keep_severity=0)
            with live() as control:
                done = minimise(first, small, pair, **asdict(effort), control=control)
            held = sum(replayed.holds for replayed in verify(small, pair))
            same = {(r.minimised.source, r.flip) for r in small if r.minimised is not None}
            kept = len(same & {(r.sha256, r.flip) for r in first})
            after = stats(small)
            cut, each = after.cut, max(1, len(first))
            assert cut is not None
            assert held == len(small)
            rows.append(
                (
                    name,
                    f"{kept + done.alike} of {len(first)}",
                    f"{cut.pixels[0]:g} → {cut.pixels[1]:g}",
                    f"{cut.factor:g}×",
                    f"{cut.values[0]:g} → {cut.values[1]:g}",
                    f"{cut.linf[0]:g} → {cut.linf[1]:g}",
                    f"{cut.l2[0]:.4f} → {cut.l2[1]:.4f}",
                    f"{before.severity_median:.3f} → {after.severity_median:.3f}",
                    f"{done.seconds:.0f}",
                    f"{1000 * done.seconds / each:.0f}",
                    f"{done.trials / each:.0f}",
                    f"{done.forwards / each:.0f}",
                    f"{done.gradients / each:.1f}",
                )
            )
        bench.show(f"{len(first)} findings, {options.trials} trials at most", COLUMNS, rows)
        small = Corpus(home / f"small-{options.eps}")
        subsets = []
        for what, corpus in (("as found", first), ("minimised", small)):
            for keep in ("kinds", "distinct"):
                chosen = select_subset(corpus, pair, keep=keep)
                flips = {(kind.original, kind.deployed) for kind in chosen.kinds}
                subsets.append(
                    (what, keep, len(corpus), len(chosen.chosen), len(chosen.kinds), len(flips))
                )
        columns = ("entries", "--keep", "of", "kept", "kinds", "flips")
        bench.show(f"Subsets, rows {'; '.join(map(str, rows_used(first)))}", columns, subsets)


if __name__ == "__main__":
    main()
