"""Where the wall time of a whole campaign goes: models, PNG round trip, judging, the rest.

Runs a campaign into a corpus under the profiler of the standard library and prints the share of
wall time below each of compd's own parts, and what was spent inside model calls.

    python benchmarks/campaign_profile.py --seeds 192
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import setup as bench

from compd.corpus import Corpus, collect
from compd.search import Boundary, Diva, fuzz

# function in the profile -> what it is; times are cumulative
PARTS = {
    ("base.py", "gradient"): "gradients (original and shadow)",
    ("judge.py", "logits"): "judging (original and int8)",
    ("images.py", "png_round_trip"): "PNG round trip",
    ("group.py", "finding"): "building findings",
}


def main() -> None:
    options = bench.arguments(__doc__ or "", seeds=192, eps=8, batch=64)
    splits = bench.splits_of(options)
    pair = bench.pair_of(options, splits, bench.QAT)
    pair.batch = options.batch
    print(bench.machine())
    rows = []
    for name, config in (("diva", Diva()), ("boundary", Boundary())):
        for profiled in (False, True):  # the first run warms up and is the one that is timed
            with tempfile.TemporaryDirectory() as folder:
                campaign = fuzz(
                    pair, splits.seeds, strategy=config, eps=options.eps, limit=options.seeds
                )
                profile = cProfile.Profile()
                begun = time.perf_counter()
                if profiled:
                    profile.enable()
                for _ in collect(campaign, Corpus(Path(folder) / "corpus", create=True)):
                    pass
                profile.disable()
                wall = time.perf_counter() - begun
            if not profiled:
                inside = campaign.summary().model_seconds / wall
        stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        shares = {
            label: sum(v[3] for k, v in stats.items() if k[0].endswith(file) and k[2] == function)
            for (file, function), label in PARTS.items()
        }
        rows.append((name, f"{inside:.1%}", *(f"{share / wall:.1%}" for share in shares.values())))
    columns = ["strategy", "inside model calls", *PARTS.values()]
    bench.show(f"{options.seeds} seeds, batch {options.batch}, stored", columns, rows)


if __name__ == "__main__":
    main()
