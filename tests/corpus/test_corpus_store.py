"""The corpus on disk: what add() has returned is there, whole and the same each time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import select
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from compd.corpus import Corpus, Record
from compd.corpus.records import image_file, seed_file
from compd.errors import CompdError, CompdWarning
from compd.files.storage import write_atomic
from compd.images import encode_png

MakeEntry = Callable[..., tuple[Record, Tensor, Tensor]]
Mount = Callable[[str], Path]


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _check_all(corpus: Corpus) -> None:
    for record in corpus:
        corpus.image(record)
        corpus.seed_image(record)


def test_what_was_added_is_read_back(tmp_path: Path, make_entry: MakeEntry) -> None:
    entries = [make_entry(number) for number in range(5)]
    corpus = Corpus(tmp_path / "new" / "corpus", create=True)
    assert len(corpus) == 0
    assert corpus.add(iter(entries)) == 5
    for opened in (corpus, Corpus(tmp_path / "new" / "corpus")):
        assert list(opened) == [record for record, _, _ in entries]
        for record, image, seed in entries:
            assert record.sha256 in opened
            assert torch.equal(opened.image(record), image)
            assert torch.equal(opened.seed_image(record), seed)


def test_files_are_named_by_their_pixels(tmp_path: Path, make_entry: MakeEntry) -> None:
    corpus = Corpus(tmp_path, create=True)
    corpus.add([make_entry(0), make_entry(1, channels=1)])
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == 4
    for file in files:
        with Image.open(file) as picture:
            assert hashlib.sha256(np.asarray(picture).tobytes()).hexdigest() == file.stem
        assert file.parent.name == file.stem[:2]


def test_an_entry_is_stored_once(tmp_path: Path, make_entry: MakeEntry) -> None:
    corpus = Corpus(tmp_path, create=True)
    assert corpus.add([make_entry(0), make_entry(1), make_entry(0)]) == 2
    before = _tree(tmp_path)
    assert corpus.add([make_entry(1, step=99)]) == 0
    assert Corpus(tmp_path).add([make_entry(0)]) == 0
    assert corpus.add([]) == 0
    assert _tree(tmp_path) == before
    assert corpus.add([make_entry(1), make_entry(2)]) == 1
    assert len(Corpus(tmp_path)) == 3


def test_the_same_findings_give_the_same_bytes(tmp_path: Path, make_entry: MakeEntry) -> None:
    entries = [make_entry(number, channels=3 - 2 * (number % 2)) for number in range(6)]
    Corpus(tmp_path / "a", create=True).add(entries)
    other = Corpus(tmp_path / "b", create=True)
    for entry in entries:  # one by one, or all at once
        other.add([entry])
    assert _tree(tmp_path / "a") == _tree(tmp_path / "b")
    assert _tree(tmp_path / "a")["metadata.jsonl"].count(b"\n") == 6


def test_opening_changes_nothing(tmp_path: Path, make_entry: MakeEntry) -> None:
    Corpus(tmp_path, create=True).add([make_entry(0)])
    before = _tree(tmp_path)
    Corpus(tmp_path)
    Corpus(tmp_path, create=True)
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_torn_last_line_is_dropped_and_repaired(
    tmp_path: Path, make_entry: MakeEntry, kept: int
) -> None:
    Corpus(tmp_path, create=True).add([make_entry(number) for number in range(3)])
    metadata = tmp_path / "metadata.jsonl"
    whole = metadata.read_bytes()
    *lines, last, _ = whole.split(b"\n")
    metadata.write_bytes(b"\n".join([*lines, last[:kept]]))
    if kept == 0:  # nothing of the line came through: nothing to tell
        corpus = Corpus(tmp_path)
    else:
        with pytest.warns(CompdWarning, match="torn last line"):
            corpus = Corpus(tmp_path)
    assert [record.step for record in corpus] == [0, 1]
    assert corpus.add([make_entry(2)]) == 1  # told once: no warning here
    assert metadata.read_bytes() == whole
    _check_all(Corpus(tmp_path))


def test_a_line_that_is_torn_after_opening_is_repaired(
    tmp_path: Path, make_entry: MakeEntry
) -> None:
    corpus = Corpus(tmp_path, create=True)
    corpus.add([make_entry(0)])
    with (tmp_path / "metadata.jsonl").open("ab") as file:
        file.write(make_entry(1)[0].to_line().encode() + b'\n{"file_name": "ima')
    with pytest.warns(CompdWarning, match="torn last line"):
        assert corpus.add([make_entry(1), make_entry(2)]) == 1
    assert [record.step for record in Corpus(tmp_path)] == [0, 1, 2]


@pytest.mark.parametrize(
    "broken", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"file_name": "../x.png"}', b"\0" * 9]
)
def test_a_broken_line_is_named(tmp_path: Path, make_entry: MakeEntry, broken: bytes) -> None:
    Corpus(tmp_path, create=True).add([make_entry(number) for number in range(4)])
    metadata = tmp_path / "metadata.jsonl"
    lines = metadata.read_bytes().split(b"\n")
    lines[2] = broken
    metadata.write_bytes(b"\n".join(lines))
    with pytest.raises(CompdError, match=r"metadata\.jsonl line 3;") as caught:
        Corpus(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_broken_line_is_counted_right_after_doubled_ones(
    tmp_path: Path, make_entry: MakeEntry
) -> None:
    corpus = Corpus(tmp_path, create=True)
    line = make_entry(0)[0].to_line()
    with (tmp_path / "metadata.jsonl").open("a") as file:
        file.write(f"{line}\n{line}\n")
    corpus.add([make_entry(1)])
    with (tmp_path / "metadata.jsonl").open("a") as file:
        file.write("broken\n")
    with pytest.raises(CompdError, match="line 4;"):
        corpus.add([make_entry(2)])
    with pytest.raises(CompdError, match="line 4;"):
        Corpus(tmp_path)


def test_a_corpus_that_shrank_is_not_written_to(tmp_path: Path, make_entry: MakeEntry) -> None:
    corpus = Corpus(tmp_path, create=True)
    corpus.add([make_entry(0), make_entry(1)])
    metadata = tmp_path / "metadata.jsonl"
    first = metadata.read_bytes().split(b"\n")[0] + b"\n"
    metadata.write_bytes(first)
    with pytest.raises(CompdError, match="open the corpus again"):
        corpus.add([make_entry(2)])
    assert metadata.read_bytes() == first
    assert Corpus(tmp_path).add([make_entry(2)]) == 1


def _damage(name: str, record: Record, corpus: Corpus) -> Path:
    stored = image_file(record.sha256) if name == "image" else seed_file(record.seed_sha256)
    return corpus.directory / stored


@pytest.mark.parametrize("which", ["image", "seed_image"])
def test_a_damaged_picture_is_reported_and_never_used(
    tmp_path: Path, make_entry: MakeEntry, which: str
) -> None:
    corpus = Corpus(tmp_path, create=True)
    record, image, seed = make_entry(0)
    corpus.add([(record, image, seed)])
    path = _damage(which.removesuffix("_image"), record, corpus)
    read = getattr(corpus, which)
    good = path.read_bytes()
    other = image.clone()
    other[0, 0, 0] ^= 1
    sixteen = tmp_path / "deep.png"
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(sixteen)
    for bad, message in [
        (encode_png(other), "pixels with the hash in the name"),
        (encode_png(torch.zeros(1, 8, 8, dtype=torch.uint8)), "pixels with the hash in the name"),
        (b"", "empty file"),
        (b"GIF89a", "readable image"),
        (good[: len(good) // 2], "corrupt or truncated"),
        (sixteen.read_bytes(), "8 bits"),
    ]:
        path.write_bytes(bad)
        with pytest.raises(CompdError, match=message) as caught:
            read(record)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(CompdError, match="got no file"):
        read(record)
    path.write_bytes(good)
    read(record)


def test_find_takes_the_start_of_one_hash(tmp_path: Path, make_entry: MakeEntry) -> None:
    corpus = Corpus(tmp_path, create=True)
    corpus.add([make_entry(number) for number in range(17)])  # two share their first digit
    for record in corpus:
        assert corpus.find(record.sha256) == record
        assert corpus.find(record.sha256[:20]) == record
    starts = [record.sha256[0] for record in corpus]
    shared = next(digit for digit in starts if starts.count(digit) > 1)
    for prefix, hits in [("", 17), (shared, starts.count(shared)), ("x", 0), ("f" * 65, 0)]:
        with pytest.raises(CompdError, match=f"fits {hits} of 17"):
            corpus.find(prefix)


@pytest.mark.parametrize("name", ["nothing", "empty", "file"])
def test_what_is_no_corpus_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(CompdError, match=f"expected a corpus .*{name}"):
        Corpus(tmp_path / name)


# --- two writers ---


def test_a_second_writer_is_locked_out(tmp_path: Path, make_entry: MakeEntry) -> None:
    fcntl = pytest.importorskip("fcntl")
    corpus = Corpus(tmp_path, create=True)
    corpus.make()
    with (tmp_path / "metadata.jsonl").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CompdError, match="another process writing"):
            corpus.add([make_entry(0)])
        assert _tree(tmp_path).keys() == {"metadata.jsonl", ".gitattributes"}
        assert (tmp_path / "metadata.jsonl").read_bytes() == b""
        assert len(Corpus(tmp_path)) == 0  # reading needs no lock
    assert corpus.add([make_entry(0)]) == 1


def test_another_process_holds_the_lock_until_it_ends(
    tmp_path: Path, make_entry: MakeEntry
) -> None:
    pytest.importorskip("fcntl")
    corpus = Corpus(tmp_path, create=True)
    corpus.make()
    holder = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'rb')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", holder, str(tmp_path / "metadata.jsonl")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(CompdError, match="another process writing"):
            corpus.add([make_entry(0)])
        process.kill()
    assert corpus.add([make_entry(0)]) == 1


def test_writers_in_turn_see_each_other(tmp_path: Path, make_entry: MakeEntry) -> None:
    first, second = Corpus(tmp_path, create=True), Corpus(tmp_path, create=True)
    assert first.add([make_entry(0), make_entry(1)]) == 2
    assert second.add([make_entry(1), make_entry(2)]) == 1
    assert first.add([make_entry(2), make_entry(3)]) == 1
    assert [record.step for record in first] == [0, 1, 2, 3]
    assert list(Corpus(tmp_path)) == list(first)


# --- places that cannot be written ---


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "corpus"):
        with pytest.raises(CompdError, match="a file is in the way"):
            Corpus(place, create=True)


def test_a_read_only_file_system_is_refused(
    tmp_path: Path, make_entry: MakeEntry, mount: Mount
) -> None:
    with pytest.raises(CompdError, match="read-only") as caught:
        Corpus(mount("ro") / "corpus", create=True)
    assert "\n" not in str(caught.value)
    place = mount("size=1m")
    corpus = Corpus(place / "corpus", create=True)
    corpus.add([make_entry(0)])
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    with pytest.raises(CompdError, match="read-only"):
        corpus.add([make_entry(1)])
    opened = Corpus(place / "corpus")  # reading still works
    assert [record.step for record in opened] == [0]
    _check_all(opened)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(CompdError, match="permission denied"):
            Corpus(tmp_path / "corpus", create=True)
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("together", [1, 3, 40])
def test_a_full_disk_keeps_all_that_was_stored(
    make_entry: MakeEntry, mount: Mount, together: int
) -> None:
    place = mount("size=64k")
    corpus = Corpus(place / "corpus", create=True)
    stored: list[Record] = []

    def fill() -> None:
        for start in range(0, 400, together):
            entries = [make_entry(number) for number in range(start, start + together)]
            corpus.add(entries)
            stored.extend(record for record, _, _ in entries)

    with pytest.raises(CompdError, match="no space") as caught:
        fill()
    assert "\n" not in str(caught.value)
    for opened in (corpus, Corpus(place / "corpus")):
        assert list(opened) == stored
        _check_all(opened)
    assert not list(place.rglob("*.tmp"))


def _pictures_first(corpus: Corpus, entries: list[tuple[Record, Tensor, Tensor]]) -> None:
    """Write pictures without lines, as a crash leaves them, so that only lines are to come."""
    for record, image, seed in entries:
        write_atomic(corpus.directory / image_file(record.sha256), encode_png(image))
        write_atomic(corpus.directory / seed_file(record.seed_sha256), encode_png(seed))


def test_lines_that_fit_in_part_are_taken_back(make_entry: MakeEntry, mount: Mount) -> None:
    place = mount("size=256k")
    corpus = Corpus(place / "corpus", create=True)
    corpus.add([make_entry(0)])
    before = (place / "corpus" / "metadata.jsonl").read_bytes()
    entries = [make_entry(number) for number in range(1, 11)]
    assert len("".join(record.to_line() for record, _, _ in entries)) > 4096  # more than a page
    _pictures_first(corpus, entries)
    with contextlib.suppress(OSError), (place / "ballast").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    with pytest.raises(CompdError, match="no space"):
        corpus.add(entries)
    assert (place / "corpus" / "metadata.jsonl").read_bytes() == before
    (place / "ballast").unlink()
    assert corpus.add(entries) == 10
    _check_all(Corpus(place / "corpus"))


@contextlib.contextmanager
def _largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_over_a_limit_are_taken_back(tmp_path: Path, make_entry: MakeEntry) -> None:
    corpus = Corpus(tmp_path, create=True)
    corpus.add([make_entry(0)])
    before = _tree(tmp_path)
    with (
        _largest_file(len(before["metadata.jsonl"]) + 100),
        pytest.raises(CompdError, match="expected to read and write") as caught,
    ):
        corpus.add([make_entry(1)])
    assert "\n" not in str(caught.value)
    assert _tree(tmp_path)["metadata.jsonl"] == before["metadata.jsonl"]
    assert corpus.add([make_entry(1)]) == 1
    _check_all(Corpus(tmp_path))


# --- killed writers ---

# Imports once, then forks a writer for each folder that it is told. The writer adds entries for
# as long as it lives, and names each on a line of its own once add() has returned.
_WRITERS = """
import os, sys, dataclasses
import torch
from compd.corpus import Corpus, Record
from compd.images import pixel_hash

torch.set_num_threads(1)
template = Record.from_line(sys.stdin.readline())

def entry(number):
    generator = torch.Generator().manual_seed(number)
    image, seed = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=generator)
    names = dict(sha256=pixel_hash(image), seed_sha256=pixel_hash(seed))
    return dataclasses.replace(template, **names, step=number), image, seed

for folder in iter(sys.stdin.readline, ""):
    child = os.fork()
    if child == 0:
        try:
            corpus = Corpus(folder.strip(), create=True)
            number = 0
            while True:
                entries = [entry(number + k) for k in range(1 + number % 3)]
                corpus.add(entries)
                names = "".join(record.sha256 + "\\n" for record, _, _ in entries)
                os.write(1, names.encode())
                number += len(entries)
        finally:
            os._exit(1)
    os.write(1, f"pid {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_that_it_reported(
    tmp_path: Path, make_entry: MakeEntry
) -> None:
    moments = random.Random(20)
    reported_at_all = 0
    with subprocess.Popen(
        [sys.executable, "-c", _WRITERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(make_entry(0)[0].to_line().encode() + b"\n")
        for kill in range(20):
            folder = tmp_path / str(kill)
            process.stdin.write(f"{folder}\n".encode())
            process.stdin.flush()
            reported = _kill_one(process.stdout.fileno(), moments.uniform(0, 0.12))
            reported_at_all += len(reported)
            _check_killed(folder, reported, make_entry)
        process.stdin.close()
    assert process.returncode == 0
    assert reported_at_all > 0  # otherwise nothing was put to the test


def _kill_one(pipe: int, lifetime: float) -> list[str]:
    """Read what a writer reports, kill it at the end of its lifetime, and read the rest."""
    text = b""
    child: int | None = None
    deadline: float | None = None
    while not text.endswith(b"ended\n"):
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([pipe], [], [], left)[0]:
            assert child is not None
            os.kill(child, 9)
            deadline = None
            continue
        data = os.read(pipe, 65536)
        assert data, "the writers ended early"
        text += data
        if child is None and b"pid " in text:
            child = int(text.partition(b"pid ")[2].partition(b"\n")[0])
            deadline = time.monotonic() + lifetime
    lines = text.decode().split("\n")[:-2]
    return [line for line in lines if not line.startswith("pid ")]


def _check_killed(folder: Path, reported: list[str], make_entry: MakeEntry) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompdWarning)
        corpus = Corpus(folder, create=True)
    missing = [sha256 for sha256 in reported if sha256 not in corpus]
    assert not missing
    _check_all(corpus)
    before = len(corpus)
    assert corpus.add([make_entry(10_000)]) == 1
    repaired = Corpus(folder)  # without a warning
    assert len(repaired) == before + 1
    _check_all(repaired)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("call", ["fsync", "replace", "mkstemp"])
def test_a_writer_may_die_at_any_call(
    tmp_path: Path, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    homes: dict[str, Any] = {"fsync": os, "replace": Path, "mkstemp": sys.modules["tempfile"]}
    real = getattr(homes[call], call)
    for fatal in range(8):
        folder = tmp_path / f"{call}-{fatal}"
        corpus = Corpus(folder, create=True)
        corpus.add([make_entry(0)])
        calls = iter(range(100))

        def dying(*arguments: Any, calls: Any = calls, fatal: int = fatal, **named: Any) -> Any:
            if next(calls) == fatal:
                raise _Killed
            return real(*arguments, **named)

        with monkeypatch.context() as patch, contextlib.suppress(_Killed):
            patch.setattr(homes[call], call, dying)
            corpus.add([make_entry(1), make_entry(2)])
        opened = Corpus(folder)
        assert [record.step for record in opened] in ([0], [0, 1, 2])
        _check_all(opened)
        opened.add([make_entry(1), make_entry(2)])
        assert [record.step for record in Corpus(folder)] == [0, 1, 2]


def test_a_hostile_corpus_names_no_file_outside(tmp_path: Path, make_entry: MakeEntry) -> None:
    (tmp_path / "secret.png").write_bytes(encode_png(make_entry(0)[1]))
    folder = tmp_path / "corpus"
    Corpus(folder, create=True).add([make_entry(0)])
    content = json.loads((folder / "metadata.jsonl").read_text())
    content["file_name"] = "../secret.png"
    (folder / "metadata.jsonl").write_text(json.dumps(content) + "\n")
    with pytest.raises(CompdError, match="line 1"):
        Corpus(folder)
