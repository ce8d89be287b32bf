"""The commands and the Python of README and docs run as they are written."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from unittest.mock import MagicMock, patch

import pytest
from commands import run_command
from typer.testing import CliRunner

from compd.cli import app
from compd.gating import Policy

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (page.name, body)
        for page in PAGES
        for kind, body in FENCE.findall(page.read_text())
        if kind == language
    ]


def commands(page: str) -> list[str]:
    lines = [line for name, body in blocks("sh") if name == page for line in body.splitlines()]
    # the two set-up lines make an environment of their own; here the tool is installed already
    return [line.rpartition(".venv/bin/")[2] for line in lines if "pytest" not in line]


def run_all(found: list[str], folder: Path) -> dict[str, str]:
    """Run commands in order; returns the environment that they ran in."""
    (folder / "work").mkdir()
    environment = {
        **os.environ,
        "COMPD_CACHE": str(folder / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for i, command in enumerate(found):  # the first by the script that is installed
        done = run_command(command, folder / "work", environment, fork=i > 0)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return environment


@pytest.mark.slow
def test_the_commands_of_the_gate_page_work(tmp_path: Path) -> None:
    found = commands("gate.md")
    assert any(command.startswith("compd gate") for command in found)
    run_all(found, tmp_path)


@pytest.mark.slow
def test_the_commands_and_the_python_of_the_report_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(commands("report.md"), tmp_path)
    monkeypatch.chdir(tmp_path / "work")
    ours, *others = [body for page, body in blocks("python") if page == "report.md"]
    exec(ours, {})
    tools = {name: MagicMock() for name in ("fiftyone", "mlflow", "wandb")}
    with patch.dict(sys.modules, tools):  # none of them is installed for a test
        for code in others:
            exec(code, {})
    assert tools["fiftyone"].Dataset().add_sample.call_count > 30
    tools["mlflow"].log_artifact.assert_called_once_with("report.html")
    tools["wandb"].Html.assert_called_once_with("report.html", inject=False)


@pytest.mark.slow
def test_the_commands_of_the_study_page_work(tmp_path: Path) -> None:
    run_all(commands("study.md"), tmp_path)
    pages = [tmp_path / "work" / name for name in ("study.html", "again.html")]
    assert all('class="study"' in page.read_text("utf-8") for page in pages)


def test_the_policy_of_the_gate_page_is_one() -> None:
    (table,) = [body for page, body in blocks("toml") if page == "gate.md"]
    policy = Policy.from_toml(table.encode(), "gate.md")
    assert {field.name for field in fields(Policy)} - {"strategy", "norm"} == {
        line.split(" =")[0].replace("-", "_") for line in table.splitlines() if " = " in line
    }
    assert policy.eps == 8


@pytest.mark.parametrize("file", ["github.yml", "gitlab.yml"])
def test_the_commands_of_the_workflows_have_options_that_there_are(file: str) -> None:
    text = (ROOT / "docs" / "ci" / file).read_text()
    calls = re.findall(r"compd (gate|hunt) ((?:[^\n]|\\\n)*(?:\n {6,}--[^\n]*)*)", text)
    assert {name for name, _ in calls} == {"gate", "hunt"}
    for name, words in calls:
        known = set(re.findall(r"--[a-z-]+", help_of(name)))
        assert set(re.findall(r"--[a-z-]+", words)) <= known


def help_of(command: str) -> str:
    return CliRunner().invoke(app, [command, "--help-all"], env={"COLUMNS": "200"}).output


@pytest.mark.slow(6)
def test_the_commands_of_the_readme_work_in_the_order_they_are_in(tmp_path: Path) -> None:
    found = commands("README.md")
    assert found[0] == "compd fuzz --model resnet18"
    environment = run_all(found, tmp_path)
    _, python = [body for page, body in blocks("python") if page == "README.md"]
    assert run_python(python, environment).count("all[") > 30
    for name in ("result.json", "deviations.png", "pairs/lenet5-int8/pair.json"):
        assert (tmp_path / "work" / name).is_file()


def run_python(code: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_five_lines_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    from tiny import CLASSES, tiny_original, tiny_pair, tiny_splits

    from compd.compress import Ptq

    code = next(body for page, body in blocks("python") if page == "README.md")
    pair = tiny_pair(Ptq(weight_bits=4))
    names = {
        "original": tiny_original(),
        "int8": pair.deployed.run,
        "qat": pair.shadow,
        "images": tiny_splits().seeds.images[:40],
        "names": CLASSES,
    }
    exec(code, names)
    said = capsys.readouterr().out
    assert re.search(r"^images\[\d+\]: red → \w+, severity 0\.\d{3}, Linf [1-4]/255$", said, re.M)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_each_example_of_the_python_page_runs(number: int) -> None:
    examples = [body for page, body in blocks("python") if page == "python.md"]
    assert len(examples) == 3
    said = run_python(examples[number])
    assert re.search(r"images\[\d+\]: .+ → .+, severity \d\.\d{3}, Linf [1-9]\d?/255", said), said


def test_the_strategy_of_the_architecture_page_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny import tiny_pair, tiny_splits

    from compd.search import STRATEGIES, Bound, Judge
    from compd.search.strategies import Task

    # what the page registers is gone after the test
    monkeypatch.setattr(STRATEGIES, "_entries", dict(STRATEGIES._entries))
    (code,) = [body for page, body in blocks("python") if page == "architecture.md"]
    names: dict[str, object] = {"__name__": "__main__"}
    exec(code, names)
    assert "deviate" in capsys.readouterr().out
    pair, seeds = tiny_pair(), tiny_splits().seeds
    images = seeds.images[:4]
    labels = pair.reference.run(images).argmax(1)
    task = Task(pair, images, labels, Bound(), keys=range(4), random_seed=0)
    search = names["search_noise"](names["Noise"](), task)  # type: ignore[operator]
    proposal = next(search)
    candidates = task.clip(proposal.images, proposal.seeds)
    search.send(Judge(pair).confirm(candidates, labels))
    assert "deviate" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.slow(1)
def test_the_commands_and_the_tests_of_the_testing_page_work(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "COMPD_CACHE": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    for command in commands("testing.md"):
        done = run(sys.executable, "-m", *command.split())
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    known = {entry.value for entry in entry_points(group="pytest11")}
    plugin = [] if "compd.testing.plugin" in known else ["-p", "compd.testing.plugin"]
    pair = ["--compd-pair", "pairs/mine"]
    pytest_ = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), *plugin, *pair]
    (tmp_path / "empty").mkdir()
    done = run(*pytest_, "--compd-corpus", "corpora/mine", "empty")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED compd::mine::" in done.stdout
    fixture, agreeing, parting = [body for page, body in blocks("python") if page == "testing.md"]
    (tmp_path / "test_fixture.py").write_text(fixture)
    (tmp_path / "test_agreeing.py").write_text(agreeing)
    (tmp_path / "test_parting.py").write_text(parting)
    done = run(*pytest_, "test_fixture.py", "test_agreeing.py")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(*pytest_, "test_parting.py")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    if done.returncode == 0:  # how narrow the gaps of a real int8 model are differs by machine
        return
    assert "compd corpus show" in done.stdout
    done = run(
        sys.executable,
        "-m",
        "compd",
        "corpus",
        "verify",
        "--corpus",
        "corpora/properties",
        "--pair",
        "pairs/mine",
    )
    assert done.returncode == 0, done.stdout + done.stderr
