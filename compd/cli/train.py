"""``compd train``: an original on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compd.cli import options as o

__all__ = ["train"]


def train(
    out: Annotated[Path, typer.Option("--out", help="Where to write the weights (.safetensors).")],
    model: o.Model = None,
    data: o.Data = None,
    weights: o.Weights = None,
    width: o.Width = None,
    channels: o.Channels = 3,
    size: o.Size = None,
    mean: o.Mean = None,
    std: o.Std = None,
    epochs: o.Epochs = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    batch: o.Batch = None,
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of weights and order.")] = 0,
    device: o.Device = "auto",
    threads: o.Threads = None,
) -> int:
    """Train an original; run the same command again to go on after an interruption."""
    from compd.cli.display import live
    from compd.cli.render import percent, print_facts
    from compd.data import Splits, load_data
    from compd.original import train_original

    o.use_threads(threads)
    splits = Splits(load_data(data or "digits", channels=channels, size=size))
    with live() as report:
        result = train_original(
            model or "resnet18", splits, out, weights=weights, width=width,
            mean=o.floats(mean, "mean"), std=o.floats(std, "std"), epochs=epochs, lr=lr,
            batch=batch, seed=random_seed, device=device, report=report,
        )  # fmt: skip
    print_facts(
        "",
        [
            ("weights", str(out)),
            ("accuracy", f"{percent(result.accuracy)} (rows {result.rows['test']})"),
            ("trained on", f"rows {result.rows['train']}, watched on {result.rows['selection']}"),
            ("next", f"compd fuzz --model {model or 'resnet18'} --weights {out} "
                     f"--data {data or 'digits'}"),
        ],
    )  # fmt: skip
    return 0
