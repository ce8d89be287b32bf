"""After ``compd fuzz``, a corpus knows its pair and its data; no command asks for them again."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from tiny import tiny_original
from tiny_files import onnx_files, photos

from compd.corpus import Corpus
from compd.corpus.local import FILE
from compd.files.signing import signed, verified

Run = Callable[..., Any]
FILES = ("--original", "float.onnx", "--deployed", "int8.onnx", "--data", "photos")
MODEL = (
    *("--model", "remembered_nets:make", "--weights", "trained.safetensors"),
    *("--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--data", "photos", "--compress", "ptq"),
)
T = ("--threads", "1")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a module, weights, files and images of the tiny pair."""
    home = tmp_path / "project"
    home.mkdir()
    (home / "remembered_nets.py").write_text("from tiny import TinyNet as make\n")
    weights = {name: one.contiguous() for name, one in tiny_original().net.state_dict().items()}
    save_file(weights, home / "trained.safetensors")
    for file, name in zip(onnx_files(), ("float.onnx", "int8.onnx"), strict=True):
        shutil.copy(file, home / name)
    shutil.copytree(photos(), home / "photos")
    (home / "pyproject.toml").write_text("[tool.compd.gate]\nseeds = 6\n")
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "remembered_nets", raising=False)
    return home


@pytest.fixture
def found(project: Path, run: Run) -> Path:
    """A corpus of the files."""
    done = run("fuzz", *FILES, "--seeds", 6, "--corpus", "found", *T)
    assert done.code == 0, done.err
    return project / "found"


def memory(corpus: Path) -> dict[str, Any]:
    content = verified((corpus / FILE).read_bytes())
    assert content is not None
    said: dict[str, Any] = json.loads(content)
    return said


@pytest.mark.usefixtures("short_verdict")
@pytest.mark.parametrize("way", ["files", "pair", "model"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_story(
    way: str,
    elsewhere: bool,
    project: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if way == "pair":
        assert run("compress", *MODEL, "--out", "pair", *T).code == 0
    named = {"files": FILES, "model": MODEL, "pair": ("--pair", "pair", "--trust")}[way]
    fuzzed = run("fuzz", *named, "--seeds", 6, "--corpus", "found", *T)
    assert fuzzed.code == 0, fuzzed.err
    if elsewhere:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        shutil.copy(project / "pyproject.toml", ".")
        Path("remembered_nets.py").write_text("raise RuntimeError('another module')")
        monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(project)])
        monkeypatch.delitem(sys.modules, "remembered_nets", raising=False)
    found = Path(os.path.relpath(project / "found"))
    picture = next((found / "images").rglob("*.png"))
    for command, code in (
        (("corpus", "verify", "--corpus", found, *T), 0),
        (("corpus", "minimise", "--subset", "few", "--corpus", found, *T), 0),
        (("baseline", "accept", "--all", "--reason", "r", "--corpus", "few", *T), 0),
        (("gate", "--corpus", "few", "--out", "new", *T), 0),
        (("baseline", "prune", "--corpus", "few", *T), 0),
        (("hunt", "--corpus", "few", "--rounds", 1, "--seeds", 2, "--trials", 9, *T), 0),
        (("compare", "--runtimes", "original,deployed", "--corpus", found, *T), 0),
        (("corpus", "verify", "--corpus", "few", *T), 0),
        (("replay", picture, *T), 1),
    ):
        done = run(*command)
        assert done.code == code, f"{command}: {done.err}"
    assert memory(Path("few"))["options"] == memory(found)["options"]
    if Path("new").is_dir():  # the gate has found something that is new
        assert memory(Path("few"))["options"] == memory(Path("new"))["options"]
    repair = ("repair", "--corpus", found, "--out", "fixed", "--rounds", 1, "--steps", 4)
    done = run(*repair, "--seeds", 2, *T)
    assert done.code == (2 if way == "files" else 0), done.err  # files cannot be trained
    assert ("cannot be trained" in done.err) == (way == "files")


def test_what_is_remembered_stays_out_of_git_and_records(found: Path) -> None:
    said = memory(found)
    here = found.parent
    assert said == {
        "folder": str(here),
        "options": {
            "original": str(here / "float.onnx"),
            "deployed": str(here / "int8.onnx"),
            "data": str(here / "photos"),
        },
    }
    assert (found / FILE).with_name(".gitignore").read_text() == "*\n"
    assert str(here) not in (found / "metadata.jsonl").read_text()
    listed = {path.name for path in found.iterdir() if path.name[0] != "."}
    assert listed == {"metadata.jsonl", "images", "seeds"}


def test_options_go_first_one_by_one(found: Path, run: Run) -> None:
    shutil.move("photos", "moved")
    gone = run("corpus", "verify", "--corpus", found, *T)
    assert gone.code == 2
    assert "/photos', where the corpus 'found' has it" in gone.err
    assert "pass --data" in gone.err
    assert len(gone.err.splitlines()) == 1
    assert run("corpus", "verify", "--corpus", found, "--data", "moved", *T).code == 0
    shutil.move("float.onnx", "other.onnx")
    gone = run("gate", "--corpus", found, "--data", "moved", *T)
    assert gone.code == 2
    assert "pass --original with its place now" in gone.err
    moved = ("--data", "moved", "--original", "other.onnx")
    assert run("corpus", "verify", "--corpus", found, *moved, *T).code == 0
    other = run("corpus", "verify", "--corpus", found, *moved, "--deployed", "other.onnx", *T)
    assert other.code == 1  # it is its own deployed model then: nothing deviates


def test_another_pair_takes_nothing_of_the_remembered_one(found: Path, run: Run) -> None:
    done = run("corpus", "verify", "--corpus", found, "--pair", "nope", *T)
    assert (done.code, "pair='nope'" in done.err) == (2, True)
    assert run("compress", *MODEL, "--out", "pair", *T).code == 0
    # with the layout or labels of the files it would be refused
    done = run("corpus", "verify", "--corpus", found, "--pair", "pair", "--trust", *T)
    assert done.code in (0, 1), done.err


def test_options_that_the_remembered_pair_decides(found: Path, run: Run) -> None:
    done = run("corpus", "verify", "--corpus", found, "--epochs", 2, *T)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "got both (--epochs 2)" in done.err
    assert "--original is of the corpus 'found'" in done.err


def test_a_moved_corpus_keeps_it_and_one_without_asks_as_before(
    found: Path, run: Run, tmp_path: Path
) -> None:
    shutil.move(found, tmp_path / "moved")
    assert run("corpus", "verify", "--corpus", tmp_path / "moved", *T).code == 0
    shutil.rmtree(tmp_path / "moved" / ".compd")
    asked = run("corpus", "verify", "--corpus", tmp_path / "moved", *T)
    assert asked.code == 2
    assert "--original float.onnx --deployed int8.onnx" in asked.err


def test_a_strangers_memory_is_not_believed(
    found: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_by_it = tmp_path / "run"
    Path("hostile_nets.py").write_text(f"open({str(run_by_it)!r}, 'w')\n")
    options = {"model": "hostile_nets:make", "data": "digits", "trust": True}
    text = json.dumps({"folder": str(found.parent), "options": options}).encode()
    own = (found / FILE).read_bytes().partition(b"\n")[0]
    for content in (text, own + b"\n" + text, b"0" * 64 + b"\n" + text, b"", b"\n"):
        (found / FILE).write_bytes(content)
        asked = run("corpus", "verify", "--corpus", found, *T)
        assert asked.code == 2
        assert "expected the models that" in asked.err
    monkeypatch.setenv("COMPD_CACHE", str(tmp_path / "another-user"))
    (found / FILE).write_bytes(signed(text))
    monkeypatch.setenv("COMPD_CACHE", str(tmp_path / "compd-cache"))
    assert run("gate", "--corpus", found, *T).code == 2
    assert not run_by_it.exists()


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_a_link_or_a_pipe_in_its_place_is_one_line(found: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes((found / FILE).read_bytes())
    (found / FILE).unlink()
    (found / FILE).symlink_to(tmp_path / "theirs")
    done = run("corpus", "verify", "--corpus", found, *T)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "leads out of it" in done.err
    (found / FILE).unlink()
    os.mkfifo(found / FILE)
    done = run("corpus", "verify", "--corpus", found, *T)
    assert (done.code, len(done.err.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"folder": "/", "options": {"colour": "red"}}, "option 'colour'"),
        ({"folder": "/", "options": {"channels": "3"}}, "channels='3'"),
        ({"folder": "/", "options": {"original": 3}}, "original=3"),
        ({"folder": "/", "options": {"trust": 1}}, "trust=1"),
        ({"folder": 3, "options": {}}, "remove it"),
        ({"folder": "/", "options": ["data"]}, "remove it"),
        ({"options": {}}, "folder"),
        ([], "something else"),
    ],
)
def test_what_another_version_wrote_is_one_line(
    content: Any, said: str, found: Path, run: Run
) -> None:
    (found / FILE).write_bytes(signed(json.dumps(content).encode()))
    done = run("corpus", "verify", "--corpus", found, *T)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert said in done.err
    assert "pair.json" in done.err


def test_a_compression_is_remembered_with_its_settings(project: Path, run: Run) -> None:
    options = ("--weight-bits", 5, "--activation-bits", 8)
    done = run("fuzz", *MODEL, *options, "--seeds", 4, "--corpus", "found", *T)
    assert done.code == 0, done.err
    said = memory(project / "found")["options"]
    assert said["compress"] == "ptq:weight_bits=5,activation_bits=8"
    assert said["model"] == "remembered_nets:make"
    assert said["weights"] == str(project / "trained.safetensors")
    assert "weight_bits" not in said
    made = {record.fingerprint["deployed_sha256"] for record in Corpus(Path("found"))}
    assert len(made) == 1
    assert run("corpus", "verify", "--corpus", "found", *T).code == 0


def test_a_hunt_elsewhere_leaves_the_memory(found: Path, run: Run) -> None:
    before = (found / FILE).read_bytes()
    shutil.copy("int8.onnx", "nightly.onnx")
    hunt = ("hunt", "--corpus", found, "--rounds", 1, "--seeds", 2, "--trials", 9, *T)
    assert run(*hunt, "--deployed", "nightly.onnx").code == 0
    assert (found / FILE).read_bytes() == before
    shutil.rmtree(found / ".compd")
    named = ("--original", "float.onnx", "--deployed", "nightly.onnx", "--data", "photos")
    assert run(*hunt, *named).code == 0
    assert memory(found)["options"]["deployed"].endswith("nightly.onnx")


def test_inputs_for_a_device_need_no_further_words(found: Path, run: Run) -> None:
    told = run("export-inputs", "--corpus", found, "--out", "inputs")
    assert f"compd corpus verify --corpus {found} --deployed outputs.jsonl" in told.out


def options(**said: str) -> str:
    return "[tool.compd]\nthreads = 1\n" + "".join(f"{key} = {said[key]!r}\n" for key in said)


def test_a_project_names_its_pair_for_all_commands(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = options(
        model="remembered_nets:make",
        weights="trained.safetensors",
        mean="0.5,0.5,0.5",
        std="0.25,0.25,0.25",
        data="photos",
        compress="ptq",
        corpus="found",
    )
    (project / "pyproject.toml").write_text(table + "seeds = 5\n")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    done = run("fuzz")
    assert done.code == 0, done.err
    assert "searching: 5/5" in done.err
    shutil.rmtree(project / "found" / ".compd")  # as in a fresh checkout
    for command in (("corpus", "verify"), ("gate", "--max-new", "99")):
        done = run(*command)
        assert done.code == 0, f"{command}: {done.err}"


def test_a_corpus_knows_better_than_the_project(found: Path, run: Run) -> None:
    verify = ("corpus", "verify", "--corpus", found)
    Path("pyproject.toml").write_text(options(model="lenet5", data="digits", size="32"))
    assert run(*verify).code == 0
    # a command's own table is as if it were typed
    table = options() + "[tool.compd.corpus.verify]\ndata = 'nowhere/at/all'\n"
    Path("pyproject.toml").write_text(table)
    asked = run(*verify)
    assert (asked.code, "nowhere/at/all' (there is no such folder)" in asked.err) == (2, True)
    assert run(*verify, "--data", "photos").code == 0
    shutil.rmtree(found / ".compd")
    Path("pyproject.toml").write_text(
        options(original="float.onnx", deployed="int8.onnx", data="photos")
    )
    assert run(*verify).code == 0
    Path("float.onnx").unlink()
    gone = run(*verify)
    assert gone.code == 2
    assert "float.onnx', where [tool.compd] has it, got nothing there" in gone.err


def test_accepting_all_is_of_the_remembered_pair_as_it_is_now(found: Path, run: Run) -> None:
    accept = ("baseline", "accept", "--all", "--reason", "r", "--corpus", found)
    shutil.copy("float.onnx", "int8.onnx")  # another model in the same place: nothing deviates
    done = run(*accept, *T)
    assert done.code == 0, done.err
    assert "accepted: 0" in done.out
    assert "passed over: " in done.out
    Path("int8.onnx").unlink()  # without it, entries are accepted as they were stored
    done = run(*accept, *T)
    assert done.code == 0, done.err
    assert "accepted: 0" not in done.out
    assert "not recorded what the gate's search finds: expected a model's file at" in done.out
