"""A whole corpus: the metadata, and one picture, as files."""

from __future__ import annotations

import random
from collections.abc import Iterator

from compd.corpus import Corpus, rows_used, stats
from compd.corpus.records import image_file
from compd.errors import CompdError
from compd.images import encode_png
from targets.contract import Broken, fresh_folder, only_compd_errors
from targets.corpus_line import WORDS
from targets.examples import entry_of
from targets.json_shapes import mutate_lines
from targets.png import mutate as mutate_png

__all__ = ["WORDS", "entry", "mutate", "seeds"]

_CUT = b"\n--picture--\n"  # the metadata before it, the first entry's picture behind it


def seeds() -> Iterator[bytes]:
    """None, one and several entries; a torn last line; with a picture."""
    lines = [entry_of(number)[0].to_line().encode() for number in range(3)]
    picture = encode_png(entry_of(0)[1])
    yield b""
    yield lines[0] + b"\n" + _CUT + picture
    yield b"\n".join([*lines, b""]) + _CUT + picture
    yield b"\n".join([*lines, lines[0][:100]])


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change a line, or the picture."""
    metadata, cut, picture = data.partition(_CUT)
    if cut and random.Random(seed).random() < 0.25:
        picture = mutate_png(picture, most, seed)
    else:
        metadata = mutate_lines(metadata, most, seed)
    return (metadata + cut + picture)[:most]


def entry(data: bytes) -> None:
    """Open, sum up, look at the pictures, add an entry, and open again."""
    folder = fresh_folder("corpus")
    metadata, _, picture = data.partition(_CUT)
    (folder / "metadata.jsonl").write_bytes(metadata)
    path = folder / image_file(entry_of(0)[0].sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(picture)
    with only_compd_errors():
        corpus = Corpus(folder)
        stats(corpus)
        rows_used(corpus)
        for record in corpus:
            try:
                corpus.image(record)
            except CompdError as error:
                if "\n" in str(error):
                    raise Broken(str(error)) from error
        before = list(corpus)
        corpus.add([entry_of(4)])
        after = list(Corpus(folder))
        if after[: len(before)] != before or len(after) - len(before) > 1:
            raise Broken(f"{len(before)} entries became {len(after)}")
