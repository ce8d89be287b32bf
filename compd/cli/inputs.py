"""``compd export-inputs``: images to run on a device that we cannot reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.takes import takes_pair
from compd.wording import command, options

if TYPE_CHECKING:
    from compd.cli.display import Display
    from compd.corpus import Corpus
    from compd.data import Splits

__all__ = ["export_inputs"]

_ON_DEVICE = 'run each, and write {"sha256": …, "logits": […]} a line'
_OUTPUTS = "outputs.jsonl"


@takes_pair("deployed")
def export_inputs(
    named: LayeredOptions,
    out: Annotated[Path, typer.Option("--out", help="Folder for the images and inputs.jsonl.")],
    corpus: o.CorpusDir = None,
    seeds: Annotated[
        bool, typer.Option("--seeds/--no-seeds", help="The entries' seeds, too.")
    ] = True,
    shifts: Annotated[
        str | None,
        typer.Option(
            "--shifts",
            help="Instead of a corpus: clean images of the data, and shifted by cifar10-c, "
            "mnist-c, noise, camera, pipeline, or fog,awgn:0.2.",
        ),
    ] = None,
    severities: Annotated[
        str, typer.Option("--severities", help="Of shifts without one: 1,3,5, of 1 to 5.")
    ] = "1,3,5",
    images: Annotated[
        str, typer.Option("--images", help="Clean images that are shifted, the first ones; or all.")
    ] = "1000",
    frost: Annotated[
        Path | None, typer.Option("--frost", help="Folder of frost photographs; else synthetic.")
    ] = None,
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of the shifts' draws.")] = 0,
) -> int:
    """Write a corpus's images, or shifted ones, for a device.

    With them comes the list by which their outputs come back.
    """
    from compd.cli.files import check_folder, find_corpus
    from compd.cli.render.tables import print_facts
    from compd.corpus import Corpus
    from compd.corpus.inputs import LIST
    from compd.corpus.inputs import export_inputs as write
    from compd.errors import SettingError

    check_folder(out)
    if shifts is not None:
        return _shifted(named, out, shifts, severities, images, frost, random_seed)
    store = Corpus(find_corpus(corpus))
    pictures = (
        read(record) for read in (store.image, store.seed_image)[: 1 + seeds] for record in store
    )
    if not len(store):
        raise SettingError(f"expected entries to export, got an empty corpus: {store.directory}")
    count = write(pictures, out)
    print_facts(
        "",
        [
            ("images", f"{count} of {len(store)} entries{' and their seeds' if seeds else ''}"),
            ("list", str(out / LIST)),
            ("on the device", _ON_DEVICE),
            (
                "then",
                f"compd corpus verify --corpus {store.directory}{_files(store)} --deployed "
                f"{_OUTPUTS}",
            ),
        ],
    )
    return 0


def _shifted(
    named: LayeredOptions,
    out: Path,
    kinds: str,
    severities: str,
    images: str,
    frost: Path | None,
    random_seed: int,
) -> int:
    """Write clean and shifted images of the rows that a study of the same pair looks at."""
    from compd.cli.display import live
    from compd.cli.render.tables import print_facts
    from compd.cli.study import count_of
    from compd.corpus.inputs import LIST
    from compd.corpus.inputs import export_inputs as write
    from compd.shifts import parse_shifts, read_frost
    from compd.studies.inputs import study_inputs
    from compd.studies.run import shifts_that_fit

    levels = o.floats(severities, "severities") or ()
    asked, limit = parse_shifts(kinds, severities=levels), count_of(images)
    photographs = None if frost is None else read_frost(frost)
    with live() as control:
        rows = _splits(named, control).test(limit)
    rows = rows if limit is None else rows.first(limit)
    chosen, left_out = shifts_that_fit(asked, rows.images.shape[1])
    made = study_inputs(rows, chosen, random_seed=random_seed, frost=photographs)
    count = write(made, out)
    how = options(
        deployed=_OUTPUTS,
        kinds=kinds,
        severities=severities,
        images=images,
        frost=frost,
        random_seed=random_seed or None,
    )
    then = " ".join(filter(None, (command("study", "shifts"), named.words, how)))
    print_facts(
        "",
        [
            ("images", f"{count}: {len(rows)} of rows {rows.rows}, clean and {len(chosen)} shifts"),
            *([("left out", f"{', '.join(left_out)}: not for such images")] if left_out else []),
            ("list", str(out / LIST)),
            ("on the device", _ON_DEVICE),
            ("then", then),
        ],
    )
    return 0


def _splits(named: LayeredOptions, control: Display) -> Splits:
    """The data as a study of the pair cuts them; of a pair of files the original alone decides."""
    from compd.pair.requests import PairFolder

    if named.original is not None:  # the deployed file is the one that cannot be had
        named = replace(named, deployed=str(named.original))
    request = named.request()
    return request.open(control)[1] if isinstance(request, PairFolder) else request.splits()


def _files(store: Corpus) -> str:
    """What names the original again, where a corpus was made with files."""
    from compd.corpus.local import recall
    from compd.pair.requests import facts_of

    if recall(store.directory) is not None:
        return ""
    record = next(iter(store))
    made = facts_of(record.pair)
    if made is None:
        return ""
    return f" --original {made.get('original')} --data {record.seed_data} (read as before)"
