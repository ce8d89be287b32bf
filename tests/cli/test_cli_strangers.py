"""What a stranger sent, through the real commands: status 2 and one line, soon."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.corpus.records import seed_file
from compd.images import encode_png, pixel_hash

Run = Callable[..., Any]

COMMANDS = (
    ("corpus", "list"),
    ("corpus", "stats"),
    ("corpus", "show"),
    ("corpus", "verify"),
    ("gate", "--only-replay"),
    ("hunt", "--rounds", "1"),
    ("baseline", "list"),
)
SOON = 20.0  # seconds, on a machine that does other things, too
ESCAPE = "\x1b[31mred\x1b]0;title\x07"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


@pytest.fixture
def corpus(world: Any, tmp_path: Path) -> Path:
    """A copy of a real corpus, as it comes to another machine."""
    elsewhere = shutil.ignore_patterns(".compd")
    return Path(shutil.copytree(world.corpus, tmp_path / "corpus", ignore=elsewhere))


def _long_line(metadata: Path) -> None:
    with metadata.open("r+b") as file:
        file.truncate(2 << 30)


def _many_lines(metadata: Path) -> None:
    with metadata.open("ab") as file:
        file.write(b"{}\n" * 10_000_000)


def _huge(metadata: Path) -> None:
    with metadata.open("r+b") as file:
        file.truncate(1 << 40)


def _link(to: str) -> Callable[[Path], None]:
    def make(metadata: Path) -> None:
        metadata.unlink()
        metadata.symlink_to(to)

    return make


def _pipe(metadata: Path) -> None:
    metadata.unlink()
    os.mkfifo(metadata)


def _line(text: bytes) -> Callable[[Path], None]:
    def add(metadata: Path) -> None:
        with metadata.open("ab") as file:
            file.write(text + b"\n")

    return add


def _elsewhere(metadata: Path) -> None:
    content = json.loads(metadata.read_text().splitlines()[0])
    content["file_name"] = "../../../../etc/passwd"
    _line(json.dumps(content).encode())(metadata)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (_long_line, "lines of at most"),
        (_many_lines, "at most 1000000 lines"),
        (_huge, "bytes of metadata"),
        (_link("/etc/passwd"), "a link that leads out"),
        (_link("/dev/zero"), "expected a"),
        (_pipe, "expected a corpus"),
        (_elsewhere, "file name"),
        (_line(b"[" * 500_000), "RecursionError"),
        (_line(b"\0" * 4000), "line"),
        (_line(b"\xff\xfe"), "UnicodeDecodeError"),
        (_line(b"9" * 10_000), "line"),
        (_line(b"1e999"), "finite"),
        (_line(b'{"a": 1, "a": 2}'), "each key once"),
        (_line(json.dumps({"file_name": ESCAPE}).encode()), "file name"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_hostile_metadata_are_one_line(
    run: Run, corpus: Path, spoil: Callable[[Path], None], part: str
) -> None:
    spoil(corpus / "metadata.jsonl")
    for command in COMMANDS:
        begun = time.monotonic()
        ran = run(*command, "--corpus", corpus)
        assert ran.code == 2, ran.err
        assert ran.out == ""
        (line,) = ran.err.splitlines()
        assert line.startswith("compd: ")
        assert "\x1b" not in line
        if "Unicode" not in part:
            assert part in line
        assert time.monotonic() - begun < SOON


def _first(corpus: Path) -> tuple[str, Path]:
    """Hash and picture of the most severe entry."""
    lines = map(json.loads, (corpus / "metadata.jsonl").read_text().splitlines())
    best = min(lines, key=lambda entry: (-entry["severity"], entry["file_name"]))
    return Path(best["file_name"]).stem, corpus / best["file_name"]


def _bomb(path: Path, make_png: Any) -> None:
    path.write_bytes(make_png([b""] * 40_000, 40_000, depth=8, colour=2))


def _gigabytes(path: Path, make_png: Any) -> None:
    del make_png
    with path.open("r+b") as file:
        file.truncate(1 << 40)


def _picture_pipe(path: Path, make_png: Any) -> None:
    del make_png
    path.unlink()
    os.mkfifo(path)


def _outside(path: Path, make_png: Any) -> None:
    del make_png
    shutil.copy(path, path.parents[3] / "outside.png")
    path.unlink()
    path.symlink_to(path.parents[3] / "outside.png")


@pytest.mark.parametrize("spoil", [_bomb, _gigabytes, _picture_pipe, _outside])
def test_hostile_pictures_are_one_line(
    run: Run, cached: Any, corpus: Path, tmp_path: Path, make_png: Any, spoil: Any
) -> None:
    sha256, path = _first(corpus)
    spoil(path, make_png)
    begun = time.monotonic()
    ran = run("corpus", "show", sha256, "--corpus", corpus, "--out", tmp_path / "x.png")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "x.png").exists()
    ran = run("corpus", "verify", "--corpus", corpus, "--pair", cached.pair)
    assert ran.code == 1  # an entry that is not what it was, by its name
    assert sha256[:12] in ran.out
    ran = run("gate", "--corpus", corpus, "--pair", cached.pair, "--only-replay")
    assert ran.code == 2  # it can say nothing of that entry, and so not that all is well
    assert len([line for line in ran.err.splitlines() if not line.startswith("replaying")]) == 1
    assert run("corpus", "stats", "--corpus", corpus).code == 0  # pictures are not its business
    assert time.monotonic() - begun < SOON


def _change(
    corpus: Path, change: Callable[[dict[str, Any]], None], most: int | None = None
) -> None:
    metadata = corpus / "metadata.jsonl"
    lines = [json.loads(line) for line in metadata.read_text().splitlines()][:most]
    for line in lines:
        change(line)
    metadata.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_names_do_not_reach_the_terminal_as_they_are(
    run: Run, cached: Any, corpus: Path, tmp_path: Path
) -> None:
    def rename(line: dict[str, Any]) -> None:
        for who in ("original", "deployed"):
            line[who]["name"] = ESCAPE
            line[who]["top"] = [{"name": ESCAPE, "p": 0.5}]
        line["source"].update(row=ESCAPE, data=ESCAPE)
        line["strategy"]["name"] = ESCAPE
        line["fingerprint"]["cpu_flags"] = ESCAPE

    _change(corpus, rename)
    for command in (
        ["list"],
        ["stats"],
        ["show", "--out", tmp_path / "x.png"],
        ["verify", "--pair", cached.pair],
        ["verify"],
    ):
        ran = run("corpus", *command, "--corpus", corpus)
        assert ran.code in (0, 2), ran.err  # 2: no such data
        assert not set("\x1b\x07") & set(ran.out + ran.err)
        assert r"\x1b" in ran.out + ran.err


def test_endless_names_neither_fill_the_screen_nor_take_long(
    run: Run, corpus: Path, tmp_path: Path
) -> None:
    def rename(line: dict[str, Any]) -> None:
        for who in ("original", "deployed"):
            line[who]["name"] = who[0] * 50_000
            line[who]["top"] = [{"name": "x" * 300, "p": 0.5}] * 200
        line["source"].update(row="r" * 50_000, data=line["file_name"] * 500)
        line["strategy"]["name"] = line["file_name"] + "s" * 100_000

    _change(corpus, rename, most=80)
    begun = time.monotonic()
    for command in (["list"], ["stats"], ["show", "--out", tmp_path / "x.png"]):
        ran = run("corpus", *command, "--corpus", corpus)
        assert ran.code == 0, ran.err
        assert len(ran.out) < 20_000
    assert time.monotonic() - begun < SOON


def test_a_seed_of_another_size_is_one_line(
    run: Run, corpus: Path, tmp_path: Path, make_images: Any
) -> None:
    image = make_images(1)[0]
    name = seed_file(pixel_hash(image))
    (corpus / name).parent.mkdir(parents=True, exist_ok=True)
    (corpus / name).write_bytes(encode_png(image))
    _change(corpus, lambda line: line.update(seed_file_name=name))
    ran = run("corpus", "show", "--corpus", corpus, "--out", tmp_path / "x.png")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert "the size of its seed" in line


MODULE = "a_module_of_a_stranger"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the working folder that leaves a file behind if it is run."""
    (tmp_path / f"{MODULE}.py").write_text(
        "import pathlib\n\ndef make():\n    pathlib.Path('ran').touch()\n    return None\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "ran"


def _code_as_original(pair: dict[str, Any]) -> None:
    pair["model"].update(model=f"{MODULE}:make", width=None)


def _code_as_student(pair: dict[str, Any]) -> None:
    from compd.compress import Distilled, config_to_json

    pair["compress"] = config_to_json(Distilled(student=f"{MODULE}:make"))
    pair["engine"] = "fp32"


@pytest.mark.parametrize("put", [_code_as_original, _code_as_student])
def test_a_corpus_starts_no_code(
    run: Run, cached: Any, corpus: Path, trap: Path, put: Callable[[dict[str, Any]], None]
) -> None:
    _change(corpus, lambda line: put(line["pair"]))
    ran = run("corpus", "verify", "--corpus", corpus)
    assert ran.code == 2
    assert "expected --trust" in ran.err
    assert not trap.exists()
    ran = run("corpus", "verify", "--corpus", corpus, "--trust")
    assert ran.code == 2  # the factory returns no network; but it was run
    assert trap.exists(), ran.err


@pytest.mark.parametrize("put", [_code_as_original, _code_as_student])
def test_a_pair_starts_no_code(
    run: Run,
    world: Any,
    corpus: Path,
    tmp_path: Path,
    trap: Path,
    put: Callable[[dict[str, Any]], None],
) -> None:
    pair = Path(shutil.copytree(world.pair, tmp_path / "pair"))
    content = json.loads((pair / "pair.json").read_text())
    put(content)
    (pair / "pair.json").write_text(json.dumps(content))
    ran = run("corpus", "verify", "--corpus", corpus, "--pair", pair)
    assert ran.code == 2
    assert "expected --trust" in ran.err
    assert not trap.exists()


@pytest.mark.parametrize("width", [200, 4096])
def test_a_pair_builds_no_network_that_its_files_cannot_hold(
    run: Run, world: Any, corpus: Path, tmp_path: Path, width: int
) -> None:
    pair = Path(shutil.copytree(world.pair, tmp_path / "pair"))
    content = json.loads((pair / "pair.json").read_text())
    content["model"].update(model="resnet18", width=width)
    (pair / "pair.json").write_text(json.dumps(content))
    begun = time.monotonic()
    ran = run("corpus", "verify", "--corpus", corpus, "--pair", pair)
    assert ran.code == 2
    assert "bytes of weights" in ran.err
    assert time.monotonic() - begun < SOON


def test_a_corpus_builds_no_network_larger_than_any(run: Run, cached: Any, corpus: Path) -> None:
    _change(corpus, lambda line: line["pair"]["model"].update(model="vgg11", width=4096))
    ran = run("corpus", "verify", "--corpus", corpus)
    assert ran.code == 2
    assert "make it narrower" in ran.err


@pytest.mark.parametrize("what", ["link", "pipe", "huge", "deep", "number"])
def test_a_hostile_pair_is_one_line(
    run: Run, world: Any, corpus: Path, tmp_path: Path, what: str
) -> None:
    pair = Path(shutil.copytree(world.pair, tmp_path / "pair"))
    path = pair / "pair.json"
    text = path.read_text()
    path.unlink()
    if what == "link":
        path.symlink_to("/etc/passwd")
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif what == "deep":
        path.write_text("[" * 500_000)
    else:
        path.write_text(text.replace('"size": 32', f'"size": {"9" * 10_000}'))
    ran = run("corpus", "verify", "--corpus", corpus, "--pair", pair)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert "pair" in line


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        '{"sha256": "' + "0" * 64 + '", "logits": [1e999, 0]}',
        '{"sha256": "' + "0" * 64 + '", "logits": [' + "9" * 4000 + ", 0]}",
        "\0" * 100,
        '{"device": "' + "\\u001b[31m" * 9 + '"}\n{"sha256": "x"}',
    ],
    ids=["deep", "infinite", "digits", "zeros", "escapes"],
)
def test_hostile_recorded_outputs_are_one_line(
    run: Run, world: Any, corpus: Path, tmp_path: Path, text: str
) -> None:
    table = tmp_path / "outputs.jsonl"
    table.write_text(text + "\n")
    ran = run("corpus", "verify", "--corpus", corpus, "--pair", world.pair, "--deployed", table)
    assert ran.code == 2
    lines = [line for line in ran.err.splitlines() if line.startswith("compd: ")]
    assert len(lines) == 1
    assert "outputs.jsonl" in lines[0]
    assert "\x1b" not in ran.err
