"""``compd export-inputs``: images to run on a device that we cannot reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o

if TYPE_CHECKING:
    from compd.corpus import Corpus

__all__ = ["export_inputs"]


def export_inputs(
    out: Annotated[Path, typer.Option("--out", help="Folder for the images and inputs.jsonl.")],
    corpus: o.CorpusDir = None,
    seeds: Annotated[
        bool, typer.Option("--seeds/--no-seeds", help="The entries' seeds, too.")
    ] = True,
) -> int:
    """Write a corpus's images, to be run on another device.

    With them comes the list by which their outputs come back.
    """
    from compd.cli.files import check_folder, find_corpus
    from compd.cli.render.tables import print_facts
    from compd.corpus import Corpus
    from compd.corpus.inputs import LIST
    from compd.corpus.inputs import export_inputs as write
    from compd.errors import SettingError

    check_folder(out)
    store = Corpus(find_corpus(corpus))
    images = (
        read(record) for read in (store.image, store.seed_image)[: 1 + seeds] for record in store
    )
    if not len(store):
        raise SettingError(f"expected entries to export, got an empty corpus: {store.directory}")
    count = write(images, out)
    print_facts(
        "",
        [
            ("images", f"{count} of {len(store)} entries{' and their seeds' if seeds else ''}"),
            ("list", str(out / LIST)),
            ("on the device", 'run each, and write {"sha256": …, "logits": […]} a line'),
            (
                "then",
                f"compd corpus verify --corpus {store.directory}{_files(store)} --deployed "
                "outputs.jsonl",
            ),
        ],
    )
    return 0


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
