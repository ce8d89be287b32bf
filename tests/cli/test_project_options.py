"""``[tool.compd]`` of a pyproject.toml: options of a project, below those of the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from compd.cli import app
from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.takes import takes_pair
from compd.cli.project import CommandDefaults, project_defaults
from compd.errors import CompdError
from compd.files.project import find_project

Run = Callable[..., Any]
Read = Callable[..., dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder below, which is the working one."""
    (tmp_path / "project" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "below")
    return tmp_path / "project"


@pytest.fixture
def read(project: Path) -> Read:
    """``read("eps = 8", "fuzz")``: the defaults that a table gives to a command."""

    def table(text: str, *command: str) -> dict[str, Any]:
        (project / "pyproject.toml").write_text(f"[tool.compd]\n{text}\n")
        found: Any = project_defaults(app, command)
        for part in command:
            found = found[part]
        return dict(found)

    return table


def test_options_by_their_long_names(read: Read, project: Path) -> None:
    assert read('seeds = 40\nfine_tune_epochs = 2\nrandom-seed = 7\n"time" = 3', "fuzz") == {
        "seeds": 40,
        "fine_tune_epochs": 2,
        "random_seed": 7,
        "time": 3,
    }
    assert read("mean = [0.49, 0.48, 0.45]\nsize = 32\nbgr = true", "check") == {
        "mean": "0.49,0.48,0.45",
        "size": "32",
        "bgr": True,
    }
    assert read('corpus = "found"\nall = true', "baseline", "accept") == {
        "directory": str(project / "found"),  # the parameter of --corpus
        "everything": True,
    }
    assert read("confirm = false", "fuzz") == {"confirm": False}
    assert read("seeds = 40", "corpus", "list") == {}  # which has no such option
    assert read("seeds = 40", "export-inputs") == {}  # whose --seeds is no number
    assert read("seeds = false", "export-inputs") == {"seeds": False}


def test_paths_are_the_projects(read: Read, project: Path) -> None:
    (project / "imgs").mkdir()
    (project / "m.onnx").touch()
    text = 'weights = "w.pt"\ndata = "imgs"\npair = "../p"\nconfirm-on = "x86,m.onnx"\njson = "-"'
    assert read(text, "fuzz") == {
        "weights": str(project / "w.pt"),
        "data": str(project / "imgs"),
        "pair": str(project / "../p"),
        "confirm_on": f"x86,{project / 'm.onnx'}",
        "json": "-",
    }
    for name in ("digits", "uoft-cs/cifar10"):
        assert read(f'data = "{name}"', "fuzz") == {"data": name}


def test_a_commands_own_table_goes_first(read: Read) -> None:
    text = (
        "seeds = 40\nthreads = 2\n[tool.compd.fuzz]\nseeds = 7\n[tool.compd.corpus.list]\nlimit=3"
    )
    assert read(text, "fuzz") == {"seeds": 7, "threads": 2}
    assert read(text, "hunt") == {"seeds": 40, "threads": 2}
    assert read(text, "corpus", "list") == {"limit": 3}


def test_the_gates_table_is_the_policy(read: Read) -> None:
    text = "seeds = 40\nthreads = 1\n[tool.compd.gate]\nseeds = 7\nmax-new = 3"
    assert read(text, "gate") == {"threads": 1}  # of the rest, the policy has its own
    assert read("seeds = 40", "gate") == {"seeds": 40}


def test_what_a_search_was_like_is_the_corpuss_to_say(read: Read) -> None:
    text = 'eps = 8\nnorm = "l2"\ngoal = "severe"\nstrategy = "blackbox"'
    assert read(text, "fuzz") == {
        "eps": "8",
        "norm": "l2",
        "goal": "severe",
        "strategy": "blackbox",
    }
    for command in (("gate",), ("hunt",), ("repair",), ("corpus", "minimise")):
        assert read(text, *command) == {}
    assert read(f"{text}\n[tool.compd.hunt]\neps = 4", "hunt") == {"eps": "4"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('modle = "x"', ["'modle'", "did you mean 'model'"]),
        ("colour = 3", ["an option of compd in [tool.compd], got 'colour'"]),
        ("[tool.compd.fuz]\nseeds = 1", ["a command of compd", "did you mean 'fuzz'"]),
        ("[tool.compd.fuzz]\nseed = 1", ["[tool.compd.fuzz]", "did you mean 'seeds'"]),
        ("[tool.compd.fuzz]\nsubset = 'x'", ["an option of fuzz", "'subset'"]),
        ("[tool.compd.corpus]\nverfy = {batch = 1}", ["[tool.compd.corpus]", "mean 'verify'"]),
        ("[tool.compd.corpus]\nverify = 3", ["[tool.compd.corpus.verify] to be a table, got 3"]),
        ("[tool.compd.corpus.verify]\nbtach = 3", ["option of corpus verify", "mean 'batch'"]),
        ("seeds = 'many'", ["seeds as a whole number in [tool.compd], got 'many'"]),
        ("seeds = 2.5", ["seeds as a whole number"]),
        ("[tool.compd.fuzz]\nseeds = true", ["seeds as a whole number in [tool.compd.fuzz]"]),
        ("time = 'soon'", ["time as a number"]),
        ("bgr = 1", ["bgr as true or false"]),
        ("data = 3.5\nweights = 3", ["weights as a text"]),
        ("model = true", ["model as a text"]),
        ("mean = [[1]]", ["mean as a text"]),
        ("mean = [true]", ["mean as a text"]),
        ("mean = []", ["mean as a text"]),
        ("trust = true", ["expected --trust on the command line"]),
        ("[tool.compd.fuzz]\ntrust = true", ["expected --trust on the command line"]),
        ("debug = true", ["'debug'"]),
        ("help = true", ["'help'"]),
        ("seeds = [", ["expected TOML"]),
    ],
)
def test_a_mistake_is_one_line(read: Read, run: Run, text: str, parts: list[str]) -> None:
    with pytest.raises(CompdError):
        read(text, "fuzz")
    done = run("corpus", "list")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    for part in (*parts, "pyproject.toml"):
        assert part in done.err
    assert run("fuzz", "--help").code == 0  # by which it is mended
    assert run("--version").code == 0


def test_the_table_has_to_be_one(project: Path, run: Run) -> None:
    (project / "pyproject.toml").write_text("[tool]\ncompd = 3\n")
    done = run("corpus", "list")
    assert "expected [tool.compd] to be a table, got 3" in done.err


def test_no_project_no_defaults(project: Path) -> None:
    (project / "below" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (project / "pyproject.toml").write_text("[tool.compd]\nnonsense = 1\n")
    assert project_defaults(app, ["fuzz"]) == {}  # the nearest file counts


@pytest.mark.skipif(os.name != "posix", reason="shared folders of POSIX")
def test_a_file_that_another_user_left_in_a_shared_folder_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.compd]\nmodel = 'theirs:make'\n")
    (tmp_path / "mine").mkdir()
    assert find_project(tmp_path / "mine") == file
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    if file.stat().st_uid == 0:
        monkeypatch.setattr("compd.files.project._ADMINISTRATOR", -1)
    assert find_project(tmp_path / "mine") == file
    tmp_path.chmod(0o1777)
    assert find_project(tmp_path / "mine") is None


# Which pair, where several say it.


@pytest.fixture
def named(project: Path) -> Callable[..., LayeredOptions]:
    """``named(table, *words)``: what a command gets of the pair's options."""
    seen: list[LayeredOptions] = []

    @takes_pair()
    def show(named: LayeredOptions, batch: o.Batch = None) -> int:
        seen.append(named)
        return 0

    small = typer.Typer()
    small.command("show")(show)
    small.command("other")(show)
    parser = get_command(small)

    def options(table: str, *words: str) -> LayeredOptions:
        (project / "pyproject.toml").write_text(f"[tool.compd]\n{table}\n")
        defaults = project_defaults(small, ["show", *words])
        assert isinstance(defaults["show"], CommandDefaults)
        code = parser(["show", *words], standalone_mode=False, default_map=defaults)
        assert not code
        return seen[-1]

    return options


MODEL = 'model = "pkg.nets:make"\nmean = 0.5\nstd = 0.5\ndata = "uoft-cs/cifar10"\nsize = 32'


def test_a_project_names_the_pair(named: Callable[..., LayeredOptions], project: Path) -> None:
    found = named(MODEL)
    assert (found.model, found.mean, found.data) == ("pkg.nets:make", "0.5", "uoft-cs/cifar10")
    assert found.names_pair
    assert not found.says_pair
    assert found.folder == project  # where pkg is
    assert found.words == ""


def test_the_command_line_goes_first_one_by_one(named: Callable[..., LayeredOptions]) -> None:
    found = named(MODEL, "--data", "digits", "--mean", "0.1")
    assert (found.model, found.mean, found.std, found.data) == (
        *("pkg.nets:make", "0.1", "0.5"),
        "digits",
    )
    assert found.said == {"data": "digits", "mean": "0.1"}


def test_another_pair_takes_the_data_and_not_the_model(
    named: Callable[..., LayeredOptions], project: Path
) -> None:
    (project / "below" / "p").mkdir()
    table = f'{MODEL}\ncompress = "ptq"\nweights = "w.pt"'
    found = named(table, "--pair", "p")
    assert (found.pair, found.model, found.mean, found.weights) == (Path("p"), None, None, None)
    assert (found.data, found.size, found.compress) == ("uoft-cs/cifar10", "32", None)
    assert found.folder is None
    found = named(table, "--model", "lenet5")
    assert (found.model, found.mean, found.weights) == ("lenet5", None, None)
    assert (found.data, found.compress) == ("uoft-cs/cifar10", "ptq")


def test_a_commands_table_says_it_for_this_command(named: Callable[..., LayeredOptions]) -> None:
    found = named(f'{MODEL}\n[tool.compd.show]\nmodel = "lenet5"')
    assert (found.model, found.mean, found.size) == ("lenet5", None, "32")
    assert found.says_pair


def test_help_and_start_stay_fast(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.compd]\nseeds = 3\n")
    code = (
        "import sys\nfrom compd.cli import _run\n"
        "assert _run(['fuzz', '--data', 'nope/']) == 2\n"
        "assert _run(['corpus', 'verify', '--weights', 'nope.pt']) == 2\n"
        "assert not {'torch', 'numpy', 'PIL', 'datasets'} & {*sys.modules}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "data='nope/' (there is no such folder)" in done.stderr
    assert "weights='nope.pt' (no such file)" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "nope/"], "data='nope/' (there is no such folder)"),
        (["--data", "nope.png"], "data='nope.png' (there is no such folder)"),
        (["--data", "below/nope"], "data='below/nope' (there is no such folder)"),
        (["--weights", "nope.pt"], "weights='nope.pt' (no such file)"),
        (["--pair", "nope"], "pair='nope' (no such directory); make one with: compd compress"),
        (["--original", "nope.onnx"], "original='nope.onnx' (no such file)"),
        (["--deployed", "nope.onnx"], "deployed='nope.onnx' (no such file)"),
        (["--labels", "nope.txt"], "labels='nope.txt' (no such file)"),
    ],
)
@pytest.mark.parametrize("command", ["fuzz", "check", "gate", "corpus verify"])
def test_what_is_not_there_is_said_first(
    words: list[str], said: str, command: str, run: Run, project: Path
) -> None:
    (project / "below" / "below").mkdir()
    done = run(*command.split(), *words)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert said in done.err


def test_the_table_of_the_docs_is_one(read: Read) -> None:
    page = (Path(__file__).parents[2] / "docs" / "your-own.md").read_text()
    (text,) = re.findall(r"^```toml\n\[tool.compd\]\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = read(text, "fuzz")
    assert (found["mean"], found["seeds"], found["eps"]) == ("0.49,0.48,0.45", 400, "8")
    assert read(text, "corpus", "minimise")["trials"] == 1000
