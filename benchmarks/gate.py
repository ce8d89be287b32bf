"""How long a gate takes to replay a corpus, beside a loop that takes one picture at a time.

Fills a corpus with noisy images on which a full-width ResNet-18 deviates after a slip (its classes
are in another order), accepts them all, and replays it as ``compd gate --only-replay`` does. Then
with nothing accepted, after another slip: each entry that still deviates is replayed in other ways,
too. The loop is what one would write by hand: read a picture, ask both models, compare.

    python benchmarks/gate.py --model resnet18 --width 64 --data digits --weights '' --entries 1000

Trained for one epoch: what the weights are changes no timing.
"""

from __future__ import annotations

import copy
import tempfile
import time
from pathlib import Path
from statistics import median

import setup as bench
import torch

from compd.cli.display import live
from compd.compress import Ptq
from compd.corpus import Corpus, records_by
from compd.data import Splits
from compd.gating import Accepted, Baseline, Policy, gate
from compd.images import decode_png
from compd.models.inputs import to_input
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.pair.evaluation import evaluate
from compd.search import Campaign, Judge, SearchSettings, Verdict
from compd.search.group import Group
from compd.training import TrainConfig

REPLAY = Policy(only_replay=True, max_new=10**6)


def fill(corpus: Corpus, pair: Pair, splits: Splits, entries: int) -> None:
    """Store noisy training images on which the pair deviates."""
    judge, split = Judge(pair), splits.train
    to_record = records_by(Campaign(pair, split, SearchSettings()))
    draw = torch.Generator().manual_seed(0)
    rows = torch.arange(len(split))
    labels = evaluate(pair, split).answers
    group = Group(rows, labels, split.images)
    for _ in range(20):
        noise = torch.randint(-8, 9, split.images.shape, generator=draw)
        noisy = (split.images.short() + noise).clamp(0, 255).to(torch.uint8)
        judgement = judge.confirm(noisy, labels)
        found = [
            group.finding(judgement, i, i, split, pair.classes)
            for i in judgement.effective.nonzero()[: entries - len(corpus), 0].tolist()
        ]
        corpus.add((to_record(one), one.image, one.seed_image) for one in found)
        if len(corpus) >= entries:
            return
    raise SystemExit(f"only {len(corpus)} deviations are found; take another model")


def one_by_one(corpus: Corpus, pair: Pair) -> float:
    """Seconds of the loop by hand."""
    begun = time.perf_counter()
    for path in sorted((corpus.directory / "images").rglob("*.png")):
        image = decode_png(path.read_bytes())[None]
        with torch.inference_mode():
            pair.original(to_input(image)).argmax(1)
        pair.deployed.run(image).argmax(1)
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    options = bench.arguments(str(__doc__), entries=1000, runs=3, engine="x86")
    splits = bench.splits_of(options)
    with live() as control:
        pair = build_pair(
            options.model,
            data=splits,
            width=options.width,
            weights=options.weights or None,
            compress=Ptq(),
            engine=options.engine,
            training=TrainConfig(epochs=1),
            device="cpu",
            control=control,
        )
    print(bench.machine())
    pair, changed = mislabelled(pair, 1), mislabelled(pair, 2)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder) / "corpus", create=True)
        fill(corpus, pair, splits, options.entries)
        effective = sum(record.verdict is Verdict.EFFECTIVE for record in corpus)
        accepted = Baseline(Accepted.of(record, "known") for record in corpus)
        rows: dict[str, list[tuple[float, float]]] = {}
        for _ in range(options.runs):
            corpus = Corpus(corpus.directory)
            for name, judged, baseline in (
                ("gate, all accepted", pair, accepted),
                ("gate, nothing accepted, another model", changed, Baseline()),
            ):
                result = gate(judged, corpus, baseline, policy=REPLAY)
                share = result.model_seconds / result.seconds
                rows.setdefault(name, []).append((result.seconds, share))
            rows.setdefault("one picture at a time", []).append((one_by_one(corpus, pair), 1.0))
        print(f"{effective} stored deviations")
        print("| replay | seconds, median | in model calls |")
        print("|---|---|---|")
        for name, found in rows.items():
            seconds, share = median(s for s, _ in found), median(m for _, m in found)
            print(f"| {name} | {seconds:.1f} | {share:.0%} |")


def mislabelled(pair: Pair, by: int) -> Pair:
    """The same pair after a slip: the classes of its deployed model are in another order."""
    shadow = copy.deepcopy(pair.shadow)
    (*_, last) = (m for m in shadow.modules() if getattr(m, "in_features", None))
    with torch.no_grad():
        last.weight.copy_(last.weight.roll(by, 0))
        last.bias.copy_(last.bias.roll(by, 0))
    return Pair(pair.spec, pair.original, shadow, device=pair.device)


if __name__ == "__main__":
    main()
