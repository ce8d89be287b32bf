"""Other people's kinds of models: is each verdict that of the runtime itself?

    python benchmarks/kinds.py --out DIR [--only WORD] [--seeds N]

Each network learns coloured digits for some seconds and is compressed by a toolchain, not by compd
(``kinds_made.py``). Then it goes the way of anybody's model: files through ``compd check``,
``compd fuzz`` and ``compd corpus verify``, modules through the same verbs in Python. At last each
stored PNG goes to both runtimes, one at a time, opened by code that imports nothing of compd
(``kinds_confirm.py``); so do all images that were not trained on, to compare accuracies and natural
disagreement, which have to be equal.

Rows of LiteRT need the extra ``litert-export``, and say so without it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kinds_nets as nets
import numpy as np
import torch
from kinds_confirm import FINAL, asked, confirm
from kinds_made import KINDS, Kind, Made, binary_labels
from PIL import Image
from setup import machine, show
from torch import nn

import compd
from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.runtimes import Overrides
from compd.search import StabilityCheck

EPS = 16
COLUMNS = (
    "network",
    "quantiser",
    "form",
    "accuracy, %",
    "natural disagreement, %",
    "asked",
    "gradients",
    "seeds effective",
    "verify",
    "confirmed",
    "severity off by",
)


@dataclass
class Look:
    """What compd says of a pair, to be compared."""

    figures: tuple[float | None, float | None, int]  # accuracies; images that differ
    asked: str
    gradients: str
    seeds: str
    verify: int


def images_of(made: Made, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The digits that no network was trained on, as a folder of PNGs too."""
    images, labels = (a[nets.TRAINED :] for a in nets.digits(*made.sizes))
    if made.final == "binary":
        labels = binary_labels(labels)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "images" / str(label) / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(path)
    return images, labels


def by_command(made: Made, folder: Path, images: torch.Tensor, labels: Any, seeds: int) -> Look:
    """Files, on the command line."""
    pair = ["--original", made.original, "--deployed", made.deployed]
    pair += ["--data", folder / "images"]
    for name, value in made.options.items():
        pair += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    corpus = ["--corpus", folder / "corpus"]
    run("check", *pair, "--json", folder / "check.json")
    look = json.loads((folder / "check.json").read_text())
    search = ["--seeds", seeds, "--eps", EPS, "--goal", "severe", "--wrong-seeds", "keep"]
    search += ["--json", folder / "fuzz.json"]
    run("fuzz", *pair, *search, *corpus)
    found = json.loads((folder / "fuzz.json").read_text())
    status = run("corpus verify", *pair, *corpus, accept=(0, 1))
    how = {k: v for k, v in made.options.items() if k != "size"}
    opened, _ = pair_of_files(
        made.original,
        made.deployed,
        data=str(folder / "images"),
        overrides=Overrides(**how),
        size=int(made.options["size"]) if "size" in made.options else None,
    )
    return Look(
        figures(opened, images, labels),
        opened.deployed.batching.value,
        look["shadow"],
        f"{found['seeds_effective']} of {found['seeds']}",
        status,
    )


def by_call(made: Made, folder: Path, images: torch.Tensor, labels: Any, seeds: int) -> Look:
    """Modules, in Python."""
    assert isinstance(made.original, nn.Module)
    pair = Pair.from_modules(made.original, made.deployed, example=images[:1])
    look = compd.check(pair, images)
    campaign = compd.fuzz(pair, images, eps=EPS, goal="severe", limit=seeds)
    corpus = compd.Corpus(folder / "corpus", create=True)
    sum(compd.collect(campaign, corpus, stability=StabilityCheck(pair)))
    holds = all(one.holds for one in compd.verify(corpus, pair))
    summary = campaign.summary()
    return Look(
        figures(pair, images, labels),
        pair.deployed.batching.value,
        look.shadow,
        f"{summary.seeds_effective} of {summary.seeds}",
        0 if holds else 1,
    )


def figures(pair: Pair, images: torch.Tensor, labels: Any) -> tuple[Any, Any, int]:
    found = compd.evaluate(pair, images, labels=torch.from_numpy(labels))
    return (
        found.accuracy(found.original),
        found.accuracy(found.deployed),
        int(found.disagree.sum()),
    )


def run(command: str, *options: Any, accept: tuple[int, ...] = (0,)) -> int:
    words = [sys.executable, "-m", "compd", *command.split(), *map(str, options)]
    if command != "corpus verify":
        words += ["--threads", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in accept:
        raise SystemExit(f"{shlex.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode


def row_of(kind: Kind, folder: Path, seeds: int) -> list[object]:
    """Make, run and confirm one kind."""
    folder.mkdir(parents=True)
    made = kind.make(folder)
    pixels, labels = images_of(made, folder)
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    files = isinstance(made.original, Path)
    look = (by_command if files else by_call)(made, folder, images, labels, seeds)
    output = made.options.get("output_name")
    original, deployed = asked(made.original, output), asked(made.deployed, output)
    turn = FINAL[made.final]
    said = [[turn(ask(image)).argmax() for image in pixels] for ask in (original, deployed)]
    first, second = map(np.array, said)
    direct = (
        float((first == labels).mean()),
        float((second == labels).mean()),
        int((first != second).sum()),
    )
    if not np.allclose(direct, np.array(look.figures, float), atol=1e-9):
        raise SystemExit(f"compd says {look.figures}, the runtimes {direct}")
    found = confirm(folder / "corpus", original, deployed, made.final, EPS)
    return [
        kind.network,
        kind.quantiser,
        kind.form,
        f"{100 * direct[0]:.1f}, {100 * direct[1]:.1f}",
        f"{100 * direct[2] / len(pixels):.1f}",
        look.asked,
        look.gradients,
        look.seeds,
        look.verify,
        f"{found.confirmed} of {found.entries}",
        f"{found.off:.0e}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    os.environ["COMPD_CACHE"] = str(options.out / "cache")
    print(machine(), flush=True)
    rows = []
    for i, kind in enumerate(KINDS):
        if options.only not in f"{i + 1} {kind.network} {kind.quantiser} {kind.form}":
            continue
        try:
            rows.append([i + 1, *row_of(kind, options.out / f"{i + 1:02}", options.seeds)])
        except (Exception, SystemExit) as error:
            if not isinstance(error, SystemExit):
                traceback.print_exc()
            why = str(error) or type(error).__name__
            rows.append([i + 1, kind.network, kind.quantiser, kind.form, why, *["–"] * 7])
        print(*rows[-1], sep=" | ", flush=True)
    show(f"{options.seeds} seeds within {EPS}/255", ("", *COLUMNS), rows)


if __name__ == "__main__":
    main()
