"""``compd train``: an original on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import FILE_OPTIONS, PairOptions
from compd.cli.options.takes import takes_pair
from compd.system import prepare

__all__ = ["train"]


@takes_pair(
    "pair",
    "compress",
    "engine",
    "weight_bits",
    "activation_bits",
    "amount",
    "student",
    "student_width",
    "fine_tune_epochs",
    "fine_tune_lr",
    "trust",
    *FILE_OPTIONS,
)
def train(
    named: PairOptions,
    out: Annotated[Path, typer.Option("--out", help="Where to write the weights (.safetensors).")],
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    batch: o.Batch = None,
    bfloat16: Annotated[
        bool | None,
        typer.Option(
            "--bfloat16/--float32",
            help="Arithmetic in bfloat16 (by default on a GPU, and on a CPU that does it natively "
            "if the data are not small) or in float32; the weights stay float32.",
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="What is made of each batch: standard, adversarial (PGD), mixup or smoothing (of "
            "labels); settings as mixup:alpha=0.4.",
        ),
    ] = "standard",
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of order and draws.")] = 0,
    threads: o.Threads = None,
) -> int:
    """Train an original; the same command goes on after a stop."""
    from compd.cli.display import live
    from compd.cli.files import check_outputs
    from compd.cli.render.tables import percent, print_facts, print_next
    from compd.pair.original import train_original
    from compd.pair.requests import PairRecipe
    from compd.wording import command

    prepare(threads)
    check_outputs(out=out)
    request = named.request()
    assert isinstance(request, PairRecipe)  # the command has no other options
    splits = request.splits()
    with live() as control:
        result = train_original(
            request.model_name,
            splits,
            out,
            weights=request.weights,
            width=request.width,
            mean=request.mean,
            std=request.std,
            epochs=request.epochs,
            lr=lr,
            batch=batch,
            seed=random_seed,
            bfloat16=bfloat16,
            strategy=strategy,
            device=request.device,
            control=control,
        )
    print_facts(
        "",
        [
            ("weights", str(out)),
            ("accuracy", f"{percent(result.accuracy)} (rows {result.rows['test']})"),
            ("trained on", f"rows {result.rows['train']}, watched on {result.rows['selection']}"),
        ],
    )
    read = {"mean": named.mean, "std": named.std}
    print_next(command("fuzz", model=request.model_name, weights=out, **read, **named.data_options))
    return 0
