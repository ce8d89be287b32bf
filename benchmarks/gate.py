"""How long a gate takes to replay a corpus, beside a loop that takes one picture at a time.

Fills a corpus with deviations of a full-width ResNet-18, accepts them all, and replays it as
``compd gate --only-replay`` does; then with nothing accepted and another model, where each entry
that still deviates is replayed in other ways, too. The loop is what one would write by hand: read a
picture, ask both models, compare.

    python benchmarks/gate.py --model resnet18 --width 64 --data digits --weights '' --entries 1000

Trained for one epoch: what the weights are changes no timing.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import setup as bench
import torch

from compd.build import build_pair
from compd.cli.display import live
from compd.compress import Ptq
from compd.corpus import Corpus, collect
from compd.data import Splits
from compd.fuzz import Campaign, Settings, Verdict
from compd.gate import Accepted, Baseline, Policy, gate
from compd.images import decode_png
from compd.pair import Pair
from compd.training import TrainConfig

REPLAY = Policy(only_replay=True, max_new=10**6)


def fill(corpus: Corpus, pair: Pair, splits: Splits, entries: int) -> None:
    """Search with one random seed after another until the corpus is large enough."""
    number = 0
    while len(corpus) < entries:
        before = len(corpus)
        settings = Settings(random_seed=number, limit=entries - len(corpus))
        with live() as report:
            for _ in collect(Campaign(pair, splits.seeds, settings, report=report), corpus):
                pass
        number += 1
        if len(corpus) == before:
            raise SystemExit("nothing new is found; take another model")


def one_by_one(corpus: Corpus, pair: Pair) -> float:
    """Seconds of the loop by hand."""
    begun = time.perf_counter()
    for path in sorted((corpus.directory / "images").rglob("*.png")):
        image = decode_png(path.read_bytes())[None]
        pair.reference.run(image).argmax(1), pair.deployed.run(image).argmax(1)
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    options = bench.arguments(str(__doc__), entries=1000, runs=3, engine="x86")
    splits = bench.splits_of(options)
    with live() as report:
        pair = build_pair(
            options.model, data=splits, width=options.width, weights=options.weights or None,
            compress=Ptq(), engine=options.engine, training=TrainConfig(epochs=1), device="cpu",
            report=report,
        )  # fmt: skip
    print(bench.machine())
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder) / "corpus", create=True)
        fill(corpus, pair, splits, options.entries)
        effective = sum(record.verdict is Verdict.EFFECTIVE for record in corpus)
        accepted = Baseline(Accepted.of(record, "known") for record in corpus)
        changed = changed_pair(pair)
        rows: dict[str, list[tuple[float, float]]] = {}
        for _ in range(options.runs):
            corpus = Corpus(corpus.directory)
            for name, judged, baseline in (
                ("gate, all accepted", pair, accepted),
                ("gate, nothing accepted, changed model", changed, Baseline()),
            ):
                result = gate(judged, corpus, baseline, REPLAY)
                share = result.model_seconds / result.seconds
                rows.setdefault(name, []).append((result.seconds, share))
            rows.setdefault("one picture at a time", []).append((one_by_one(corpus, pair), 1.0))
        print(f"{effective} stored deviations")
        print("| replay | seconds, median | in model calls |")
        print("|---|---|---|")
        for name, found in rows.items():
            seconds, share = median(s for s, _ in found), median(m for _, m in found)
            print(f"| {name} | {seconds:.1f} | {share:.0%} |")


def changed_pair(pair: Pair) -> Pair:
    """The same pair after a slip: some channels of the last convolution are gone."""
    shadow = pair.shadow
    last = [m for m in shadow.modules() if isinstance(getattr(m, "weight", None), torch.Tensor)
            and m.weight.ndim == 4][-1]  # fmt: skip
    kept = last.weight.detach().clone()
    with torch.no_grad():
        last.weight[: len(kept) // 16] = 0
    made = Pair(pair.spec, pair.original, shadow, device=pair.device)
    with torch.no_grad():
        last.weight.copy_(kept)
    return made


if __name__ == "__main__":
    main()
