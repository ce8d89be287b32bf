"""Commands on a program in the deployed file's place: what they say, keep, remember and refuse."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_files import onnx_files, photos
from tiny_programs import example

from compd.corpus import Corpus
from compd.corpus.local import FILE
from compd.files.signing import signed, verified

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and groups of POSIX")
Run = Callable[..., Any]
T = ("--threads", "1")
SEARCH = ("--strategy", "blackbox", "--queries", "60", "--eps", "16", "--seeds", "6")


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The options of the pair, in a working folder that has its files; the program is ``./run``."""
    home = tmp_path / "project"
    home.mkdir()
    for file, name in zip(onnx_files(), ("float.onnx", "int8.onnx"), strict=True):
        shutil.copy(file, home / name)
    shutil.copytree(photos(), home / "photos")
    write(home / "run", "")
    (tmp_path / "pyproject.toml").write_text("[tool.compd.gate]\nseeds = 4\n")
    monkeypatch.chdir(home)
    pair = ("--original", "float.onnx", "--deployed", "cmd: ./run int8.onnx")
    return (*pair, "--data", "photos", *T)


def write(file: Path, before: str) -> None:
    """A script that starts the example with its argument, and does something before."""
    words = shlex.split(example(Path("x")).removeprefix("cmd: "))[:-1]
    file.write_text(f'#!/bin/sh\n{before}\nexec {shlex.join(words)} "$@"\n')
    file.chmod(0o755)


def test_check_and_a_search_and_the_commands_on_its_corpus(
    named: tuple[str, ...], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = run("check", *named)
    assert checked.code == 0, checked.err
    assert "bridge-an example" in checked.out
    studied = run("study", "shifts", *named, "--kinds", "fog", "--severities", 3, "--images", 20)
    assert studied.code == 0, studied.err
    fuzzed = run("fuzz", *named, *SEARCH, "--corpus", "found", "--json", "f.json")
    assert fuzzed.code == 0, fuzzed.err
    assert len(Corpus(Path("found"))) > 0
    records = Path("found/metadata.jsonl").read_text()
    assert str(tmp_path) not in records
    assert '"engine": "bridge-an example"' in records
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # it is started where it was named
    found = tmp_path / "project" / "found"
    for command in (
        ("corpus", "verify", "--corpus", found),
        ("corpus", "minimise", "--subset", "few", "--trials", "5", "--corpus", found),
        ("corpus", "verify", "--corpus", "few"),
        ("baseline", "accept", "--all", "--reason", "r", "--corpus", "few"),
        ("gate", "--corpus", "few", "--only-replay"),
        ("compare", "--runtimes", "original,deployed", "--corpus", found),
    ):
        done = run(*command, *T)
        assert done.code == 0, f"{command}: {done.err}"
    memory = json.loads(verified((found / FILE).read_bytes()) or b"")
    assert memory["options"]["deployed"] == "cmd: ./run int8.onnx"
    assert memory["started_in"] == str(tmp_path / "project")


def test_what_a_search_had_found_is_kept_when_the_program_fails(
    named: tuple[str, ...], run: Run
) -> None:
    """It answers so many frames, and then never again."""
    words = shlex.split(example(Path("int8.onnx")).removeprefix("cmd: "))
    limit = "import os; open('asked', 'a').write('.')\n"
    limit += "        if os.path.getsize('asked') > 600: sys.exit('out')"
    text = Path(words[1]).read_text().replace("_, number", f"{limit}\n        _, number")
    Path("fails.py").write_text(text)
    options = list(named)
    options[3] = "cmd: " + shlex.join([words[0], "fails.py", words[2]])
    search = (*SEARCH[:-2], "--seeds", 30, "--goal", "first", "--batch", 1, "--no-confirm")
    ran = run("fuzz", *options, *search, "--corpus", "found")
    assert ran.code == 2
    last = ran.err.splitlines()[-1]
    assert "failed 3 times" in last
    assert "'out'" in last
    assert len(Corpus(Path("found"))) > 0


def test_the_deadline_is_said_with_the_deployed_input(named: tuple[str, ...], run: Run) -> None:
    write(Path("run"), "sleep 30")
    ran = run("check", *named, "--deployed-input", "start-deadline=0.1")
    assert ran.code == 2
    assert "within 0.1 s" in ran.err
    ran = run("check", *named, "--deployed-input", "deadline=soon")
    assert ran.code == 2
    assert "deadline='soon'" in ran.err


def test_one_that_is_not_there_is_told_before_anything_is_imported(
    named: tuple[str, ...], run: Run
) -> None:
    Path("run").unlink()
    ran = run("check", *named)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "'./run'" in ran.err


def test_a_strangers_corpus_starts_nothing(named: tuple[str, ...], run: Run) -> None:
    assert run("fuzz", *named, *SEARCH, "--corpus", "found", "--no-confirm").code == 0
    Path("theirs").write_text("#!/bin/sh\ntouch started\n")
    Path("theirs").chmod(0o755)
    memory = json.loads(verified(Path("found", FILE).read_bytes()) or b"")
    memory["options"]["deployed"] = "cmd: ./theirs"
    text = json.dumps(memory).encode()
    own = signed(text)
    Path("found", FILE).write_bytes(b"0" * 64 + b"\n" + text)
    asked = run("corpus", "verify", "--corpus", "found", *T)
    assert asked.code == 2
    assert "--original float.onnx --deployed 'cmd: run …' --data photos" in asked.err
    assert not Path("started").exists()
    Path("found", FILE).write_bytes(own)  # what we have signed is started
    assert run("corpus", "verify", "--corpus", "found", *T).code == 2
    assert Path("started").exists()


@pytest.mark.parametrize(
    "line",
    [
        "deployed = 'cmd: ./theirs'",
        "[tool.compd.check]\ndeployed = 'cmd: ./theirs'",
        "[tool.compd.fuzz]\nconfirm-on = ['x86', 'cmd: ./theirs']",
        "[tool.compd.compare]\nruntimes = 'original, cmd: ./theirs'",
    ],
)
def test_a_projects_table_starts_nothing(named: tuple[str, ...], run: Run, line: str) -> None:
    del named
    Path("pyproject.toml").write_text(f"[tool.compd]\noriginal = 'float.onnx'\n{line}\n")
    ran = run("check", "--data", "photos", *T)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "expected a program on the command line" in ran.err
