"""A corpus from a stranger reads and writes only its own folder, and exhausts nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compd.corpus import Corpus, Record, lines, rows_used, stats
from compd.corpus.records import image_file, seed_file
from compd.corpus.shared import Shared
from targets.png import chunks_of, png_of

MakeEntry = Callable[..., tuple[Record, Tensor, Tensor]]
Refuses = Callable[..., Any]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices of POSIX")


@pytest.fixture
def folder(tmp_path: Path, make_entry: MakeEntry) -> Path:
    """A corpus of two entries, beside a folder that is none of its business."""
    Corpus(tmp_path / "corpus", create=True).add([make_entry(0), make_entry(1)])
    (tmp_path / "outside").mkdir()
    return tmp_path / "corpus"


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- links and things that are no files ---


@pytest.mark.parametrize("name", ["metadata.jsonl", "images", "seeds"])
def test_a_link_out_of_the_folder_is_not_followed(
    folder: Path, make_entry: MakeEntry, name: str, refuses: Refuses
) -> None:
    outside = folder.parent / "outside"
    (folder / name).rename(outside / name)
    (folder / name).symlink_to(outside / name)
    before = _tree(outside)
    with refuses("a link that leads out"):
        corpus = Corpus(folder)
        corpus.image(next(iter(corpus)))
        corpus.seed_image(next(iter(corpus)))
    with refuses("a link that leads out"):
        Corpus(folder, create=True).add([make_entry(2)])
    assert _tree(outside) == before


@pytest.mark.parametrize("place", ["images", "images/ab"])
def test_nothing_is_written_through_a_link(
    tmp_path: Path, make_entry: MakeEntry, place: str, refuses: Refuses
) -> None:
    record, image, seed = make_entry(0)
    folder, outside = tmp_path / "corpus", tmp_path / "outside"
    Corpus(folder, create=True).make()
    outside.mkdir()
    link = folder / place.replace("ab", record.sha256[:2])
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside / "not-there-yet")
    with refuses("a link that leads out"):
        Corpus(folder).add([(record, image, seed)])
    assert not list(outside.iterdir())


def test_metadata_are_not_made_behind_a_dangling_link(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "metadata.jsonl").symlink_to(tmp_path / "outside.jsonl")
    with refuses("a link that leads out"):
        Corpus(tmp_path / "corpus", create=True)
    assert not (tmp_path / "outside.jsonl").exists()


def test_links_within_the_folder_and_to_it_are_fine(folder: Path, make_entry: MakeEntry) -> None:
    (folder / "images").rename(folder / "pictures")
    (folder / "images").symlink_to("pictures")
    link = folder.parent / "link"
    link.symlink_to(folder)
    corpus = Corpus(link)
    assert torch.equal(corpus.image(next(iter(corpus))), make_entry(0)[1])
    assert corpus.add([make_entry(2)]) == 1


def test_links_in_a_circle_are_one_line(folder: Path, refuses: Refuses) -> None:
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.jsonl").symlink_to("metadata.jsonl")
    with refuses("expected a"):
        Corpus(folder)


@pytest.mark.parametrize("kind", ["pipe", "folder", "/dev/zero", "/dev/tty"])
@pytest.mark.parametrize("which", ["metadata", "image", "seed"])
def test_what_is_no_file_is_not_opened(
    folder: Path, make_entry: MakeEntry, kind: str, which: str, refuses: Refuses
) -> None:
    record, image, seed = make_entry(0)
    name = {
        "metadata": "metadata.jsonl",
        "image": image_file(record.sha256),
        "seed": seed_file(record.seed_sha256),
    }[which]
    path = folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kind)
    with refuses("expected a"):
        corpus = Corpus(folder)
        corpus.image(record)
        corpus.seed_image(record)
    with refuses("expected a"):
        other = Corpus(folder, create=True)
        other.add([make_entry(3), (record, image, seed)])  # known: passed over
        other._records.clear()  # as one that has no line for it would: its picture is looked at
        other.add([(record, image, seed)])


# --- pictures ---


def _sparse(path: Path, size: int, start: bytes = b"") -> None:
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


def test_a_picture_of_gigabytes_is_not_read(
    folder: Path, make_entry: MakeEntry, refuses: Refuses
) -> None:
    record, _, _ = make_entry(0)
    path = folder / image_file(record.sha256)
    _sparse(path, 8 << 30, path.read_bytes())
    with refuses("at most", "bytes", path.name):
        Corpus(folder).image(record)


def test_a_picture_of_many_pixels_is_not_decoded(
    folder: Path, make_entry: MakeEntry, make_png: Any, refuses: Refuses
) -> None:
    record, _, _ = make_entry(0)
    path = folder / image_file(record.sha256)
    for side in (4097, 40_000):
        path.write_bytes(make_png([b""] * side, side, depth=8, colour=2))
        with refuses(f"at most {1 << 24} pixels", path.name):
            Corpus(folder).image(record)


def test_a_picture_with_too_much_text_is_not_unpacked(
    folder: Path, make_entry: MakeEntry, refuses: Refuses
) -> None:
    record, _, _ = make_entry(0)
    path = folder / image_file(record.sha256)
    head, *rest = chunks_of(path.read_bytes())
    text = b"k\0\0" + zlib.compress(bytes(50 << 20))
    path.write_bytes(png_of([head, (b"zTXt", text), *rest]))
    with refuses("corrupt", path.name):
        Corpus(folder).image(record)


def test_pictures_that_could_not_be_read_again_are_not_stored(
    tmp_path: Path, make_entry: MakeEntry, refuses: Refuses
) -> None:
    record, _, seed = make_entry(0)
    with refuses("pixels in a corpus"):
        Corpus(tmp_path, create=True).add([(record, torch.zeros(1, 4097, 4097).byte(), seed)])
    assert not _tree(tmp_path)


def test_a_picture_is_no_program(folder: Path, make_entry: MakeEntry, refuses: Refuses) -> None:
    """Pillow would start Ghostscript for this one."""
    record, _, _ = make_entry(0)
    path = folder / image_file(record.sha256)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    with refuses("something else", path.name):
        Corpus(folder).image(record)


# --- lines ---


def _append(folder: Path, data: bytes) -> None:
    with (folder / "metadata.jsonl").open("ab") as file:
        file.write(data)


@pytest.mark.parametrize("size", [lines.LONGEST_LINE + 1, 3 << 30])
def test_a_line_of_gigabytes_is_named(folder: Path, size: int, refuses: Refuses) -> None:
    metadata = folder / "metadata.jsonl"
    with metadata.open("r+b") as file:
        file.truncate(metadata.stat().st_size + size)
    with refuses(f"lines of at most {lines.LONGEST_LINE} bytes", "line 3", "remove that line"):
        Corpus(folder)


def test_a_file_of_many_gigabytes_is_not_read(folder: Path, refuses: Refuses) -> None:
    _sparse(folder / "metadata.jsonl", lines.MOST_BYTES + 1)
    with refuses(f"at most {lines.MOST_BYTES} bytes of metadata", "split it"):
        Corpus(folder)


def test_ten_million_lines_are_counted_and_refused(folder: Path, refuses: Refuses) -> None:
    _append(folder, b"{}\n" * 10_000_000)
    with refuses(f"at most {lines.MOST_LINES} lines", "split it"):
        Corpus(folder)


@pytest.mark.parametrize("distinct", [False, True])
def test_valid_lines_beyond_the_limit_are_refused(
    folder: Path,
    make_entry: MakeEntry,
    distinct: bool,
    refuses: Refuses,
) -> None:
    corpus = Corpus(folder, most_lines=50)
    text = [make_entry(number if distinct else 0)[0].to_line() for number in range(2, 60)]
    _append(folder, "\n".join([*text[:48], ""]).encode())
    assert len(Corpus(folder)) == (50 if distinct else 2)
    _append(folder, "\n".join([*text[48:], ""]).encode())
    with refuses("at most 50 lines"):
        Corpus(folder, most_lines=50)
    with refuses("at most 50 lines"):  # lines that came since are counted with those before
        corpus.add([make_entry(99)])


def test_records_beyond_the_memory_are_refused(folder: Path, refuses: Refuses) -> None:
    line = json.loads((folder / "metadata.jsonl").read_text().splitlines()[0])
    for number in range(9):
        _append(
            folder,
            (json.dumps(line | {"fingerprint": {"x": [[]] * 900, "n": number}}) + "\n").encode(),
        )
    with refuses("fits into 1 MiB of memory", "line 10", "split it"):
        Corpus(folder, most_memory=1 << 20)


def test_what_entries_share_counts_once(make_entry: MakeEntry) -> None:
    names = [f"class {number}" for number in range(1000)]
    shared = Shared()
    records = [
        Record.from_line(make_entry(n, pair={"classes": names})[0].to_line(), shared)
        for n in range(20)
    ]
    assert all(record.pair is records[0].pair for record in records)
    assert all(record.original.name is records[0].original.name for record in records)
    once = Shared()
    Record.from_line(make_entry(0, pair={"classes": names})[0].to_line(), once)
    assert shared.size - once.size < 19 * 3000  # the names alone are a hundred thousand


def test_a_line_that_could_not_be_read_again_is_not_stored(
    tmp_path: Path, make_entry: MakeEntry, refuses: Refuses
) -> None:
    corpus = Corpus(tmp_path, create=True)
    with refuses("lines of at most", "names of the classes"):
        corpus.add([make_entry(0, pair={"x": "y" * lines.LONGEST_LINE})])
    assert (tmp_path / "metadata.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    "broken",
    [
        b"\0" * 40,
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        b"1e999",
        b'{"file_name": 1, "file_name": 2}',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_hostile_line_is_named_in_one_line(folder: Path, broken: bytes, refuses: Refuses) -> None:
    _append(folder, broken + b"\n")
    with refuses("line 3", "remove that line"):
        Corpus(folder)


def test_a_key_that_comes_twice_is_refused(make_entry: MakeEntry, refuses: Refuses) -> None:
    line = make_entry(0)[0].to_line()
    with refuses("each key once"):
        Record.from_line(line[:-1] + ', "severity": 0.1}')


@pytest.mark.parametrize("hostile", [[0] * 100_000, [[]] * 1000, {"a": [{}] * 1000}])
def test_settings_of_too_many_values_are_refused(
    make_entry: MakeEntry, hostile: Any, refuses: Refuses
) -> None:
    with refuses("at most 100000 values"):
        Record.from_line(make_entry(0, strategy={"x": hostile})[0].to_line())
    names = [f"class {number}" for number in range(22_000)]
    assert Record.from_line(make_entry(0, pair={"x": names})[0].to_line()).pair == {"x": names}


def test_what_can_be_read_can_be_written(make_entry: MakeEntry, refuses: Refuses) -> None:
    for depth, fine in ((14, True), (900, False)):
        nested: Any = 1
        for _ in range(depth):
            nested = [nested]
        line = make_entry(0, strategy={"x": nested})[0].to_line()
        with refuses("levels", always=not fine):
            record = Record.from_line(line)
            assert Record.from_line(record.to_line()) == record
            assert rows_used([record])
            assert stats([record]).entries == 1


ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202etac"


def test_nothing_that_a_terminal_obeys_comes_out(make_entry: MakeEntry) -> None:
    record, _, _ = make_entry(0)
    hostile = replace(
        record,
        seed_row=ESCAPES,
        seed_data=ESCAPES,
        norm=ESCAPES,
        original=replace(record.original, name=ESCAPES, top=((ESCAPES, 0.5),)),
        strategy={"name": ESCAPES, ESCAPES: [ESCAPES]},
        fingerprint={"engine": {ESCAPES: ESCAPES}},
        pair={"model": {"classes": [ESCAPES]}},
    )
    read = Record.from_line(hostile.to_line())
    assert not any(
        c in repr(vars(read)).replace("\\\\", "")
        for c in ESCAPES
        if not c.isalnum() and c not in "[];"
    )
    assert read.original.name.startswith(r"\x1b]0;owned\x07")
    assert Record.from_line(read.to_line()) == read  # once is enough


# --- memory ---

# Imports what a corpus needs, then says by how much the process grew: over its lines, as estimated,
# and over all.
_GROWTH = """
import resource, sys
from compd.corpus import Corpus
from compd.errors import CompdError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # MiB

before = peak()
corpus = Corpus(sys.argv[1])
lines = peak()
try:
    corpus.image(next(iter(corpus)))
except CompdError as error:
    print(error, file=sys.stderr)
print(lines - before, corpus._shared.size >> 20, peak() - lines)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KiB is Linux's")
def test_memory_stays_within_what_is_told(
    folder: Path, make_entry: MakeEntry, make_png: Any
) -> None:
    line = json.loads((folder / "metadata.jsonl").read_text().splitlines()[0])
    for number in range(20):  # each with as many values as there may be
        values = list(range(1000 * number, 1000 * number + 98_000))
        changes = {"file_name": image_file(f"{number:064}"), "strategy": {"x": values}}
        _append(folder, json.dumps(line | changes, separators=(",", ":")).encode() + b"\n")
    path = folder / image_file(make_entry(0)[0].sha256)
    path.write_bytes(make_png([bytes(3 * 4096)] * 4096, 4096, depth=8, colour=2))
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    grown, estimated, picture = map(int, done.stdout.split())
    assert grown < estimated + 100  # one line while it is parsed
    assert estimated < 768
    assert "pixels with the hash in the name" in done.stderr
    assert picture < 512
