"""What a campaign costs beyond its model calls, and whether its memory stays flat.

Runs a campaign into a corpus and notes each model call with its batch size. Then makes the same
calls bare, in the same order: nothing but the models on images of the same shape. The ratio of both
wall times is the overhead of all else: directions, dithers, judging, PNG proofs, the corpus.

    python benchmarks/overhead.py --seeds 500 --many 5000

What a corpus costs depends on the file system: ``--folder`` says where to put it.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from statistics import median

import setup as bench
import torch
from torch import Tensor, nn

from compd.corpus import Corpus, collect
from compd.data import Splits
from compd.models.inputs import to_input
from compd.pair import Pair
from compd.runtimes import Runtime
from compd.search import Boundary, fuzz

Call = tuple[str, int, bool]  # which model, images, whether differentiated


class Noted(Runtime):
    """A runtime that notes its calls."""

    def __init__(self, runtime: Runtime, calls: list[Call]) -> None:
        self.runtime, self.calls = runtime, calls

    @property
    def engine(self) -> str:
        """That of the runtime."""
        return self.runtime.engine

    @property
    def content_hash(self) -> str:
        """That of the runtime."""
        return self.runtime.content_hash

    def run(self, images: Tensor) -> Tensor:
        """Note, and pass on."""
        self.calls.append(("deployed", len(images), False))
        return self.runtime.run(images)


def search(pair: Pair, splits: Splits, limit: int, **settings: object) -> float:
    """Wall seconds of a campaign whose findings are not stored."""
    begun = time.perf_counter()
    for _ in fuzz(pair, splits.seeds, limit=limit, eps=8, **settings):
        pass
    return time.perf_counter() - begun


def campaign(
    pair: Pair, splits: Splits, limit: int, *, folder: str = "", **settings: object
) -> float:
    """Wall seconds of a campaign into a corpus."""
    with tempfile.TemporaryDirectory(dir=folder or None) as temporary:
        begun = time.perf_counter()
        running = fuzz(pair, splits.seeds, limit=limit, eps=8, **settings)
        for _ in collect(running, Corpus(Path(temporary) / "corpus", create=True)):
            pass
        return time.perf_counter() - begun


def noted(pair: Pair, splits: Splits, limit: int, **settings: object) -> list[Call]:
    """The model calls of that campaign."""
    calls: list[Call] = []

    def note(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            calls.append((name, len(inputs[0]), inputs[0].requires_grad))

        return hook

    hooks = [
        getattr(pair, name).register_forward_pre_hook(note(name)) for name in ("original", "shadow")
    ]
    deployed = pair.deployed
    pair.deployed = Noted(deployed, calls)
    try:
        campaign(pair, splits, limit, **settings)
    finally:
        pair.deployed = deployed
        for hook in hooks:
            hook.remove()
    return calls


def bare(pair: Pair, images: Tensor, calls: list[Call]) -> float:
    """Wall seconds of the same calls and nothing else."""
    begun = time.perf_counter()
    for name, count, differentiated in calls:
        if name == "deployed":
            pair.deployed.run(images[:count])
        elif differentiated:
            x = to_input(images[:count]).requires_grad_()
            torch.autograd.grad(getattr(pair, name)(x).amax(1).sum(), x)
        else:
            with torch.inference_mode():
                getattr(pair, name)(to_input(images[:count]))
    return time.perf_counter() - begun


def memory() -> float:
    """Resident memory now, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    options = bench.arguments(__doc__ or "", seeds=500, many=0, runs=3, folder="")
    splits = bench.splits_of(options)
    pair = bench.pair_of(options, splits, bench.QAT)
    print(bench.machine(), flush=True)
    rows = []
    for name, settings in (
        ("boundary, first", {"strategy": Boundary()}),
        ("boundary, severe", {"strategy": Boundary(), "goal": "severe"}),
    ):
        calls = noted(pair, splits, options.seeds, **settings)
        ratios: list[tuple[float, float]] = []
        for _ in range(options.runs):
            alone = bare(pair, splits.seeds.images[:512], calls)
            searched = search(pair, splits, options.seeds, **settings)
            stored = campaign(pair, splits, options.seeds, folder=options.folder, **settings)
            ratios.append((searched / alone, stored / alone))
            print(f"{alone:.1f} s, {searched:.1f} s, {stored:.1f} s", flush=True)
        without, within = (median(column) for column in zip(*ratios, strict=True))
        rows.append(
            (
                name,
                len(calls),
                f"{alone:.1f} s",
                f"{searched:.1f} s",
                f"{stored:.1f} s",
                f"{without:.2f}",
                f"{within:.2f}",
            )
        )
        print(rows[-1], flush=True)
    columns = (
        "search",
        "model calls",
        "the calls alone",
        "campaign",
        "campaign into a corpus",
        "ratio (median)",
        "ratio with the corpus (median)",
    )
    bench.show(f"Overhead, {options.seeds} seeds", columns, rows)
    if options.many:
        sizes = []
        for limit in (options.seeds, options.many):
            campaign(pair, splits, limit, strategy=Boundary())
            sizes.append((limit, f"{memory():.0f} MiB"))
        bench.show("Resident memory after a campaign", ("seeds", "memory"), sizes)


if __name__ == "__main__":
    main()
