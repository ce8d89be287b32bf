from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compd.models import build_zoo_model, check_model, load_factory, trace

_COUNT = itertools.count()

GOOD = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.linear = nn.Linear(3, classes)

    def forward(self, x):
        return self.linear(x.mean((2, 3)))

def make():
    return Net()
"""

Module = Callable[[str], tuple[str, Path]]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Write a module into the working folder; returns its name and its file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: list[str] = []

    def write(source: str) -> tuple[str, Path]:
        names.append(f"user_net_{next(_COUNT)}")
        file = tmp_path / f"{names[-1]}.py"
        file.write_text(source)
        importlib.invalidate_caches()
        return names[-1], file

    yield write
    for name in names:
        sys.modules.pop(name, None)


def test_a_factory_from_the_working_folder(module: Module) -> None:
    name, _ = module(GOOD)
    model = load_factory(f"{name}:make")
    assert not model.training
    check_model(model, channels=3, size=8, classes=3, name=f"{name}:make")
    graph = trace(model, name)
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(graph(x), model(x))


def test_a_class_is_a_factory_too(module: Module) -> None:
    name, _ = module(GOOD)
    assert type(load_factory(f"{name}:Net")).__name__ == "Net"


def test_a_program_of_torch_export_is_its_module(module: Module) -> None:
    name, _ = module(
        f"{GOOD}\nmade = Net().eval()\n"
        "def program():\n"
        "    shapes = ({0: torch.export.Dim.DYNAMIC},)\n"
        "    x = torch.rand(2, 3, 8, 8)\n"
        "    return torch.export.export(made, (x,), dynamic_shapes=shapes)\n"
    )
    x = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    model = load_factory(f"{name}:program")
    torch.testing.assert_close(model(x), sys.modules[name].made(x))


def test_what_a_factory_sets_for_all_of_pytorch_ends_with_it(module: Module) -> None:
    name, _ = module(
        f"{GOOD}\ntorch.set_grad_enabled(False)\n"
        "def double():\n    torch.set_default_dtype(torch.float64)\n    return Net()\n"
    )
    model = load_factory(f"{name}:double")
    assert model.linear.weight.dtype is torch.float64
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("spec", ["net", "net:", ":make", ""])
def test_a_name_without_its_two_parts(spec: str, refuses: Any) -> None:
    with refuses("pkg.module:factory", f"model={spec!r}"):
        load_factory(spec)


def test_a_module_that_does_not_exist(module: Module, refuses: Any) -> None:
    with refuses("model='no_such_package.net:make'", "no_such_package"):
        load_factory("no_such_package.net:make")


def test_a_module_without_the_factory(module: Module, refuses: Any) -> None:
    name, _ = module(GOOD)
    with refuses(f"model='{name}:build'", "has no attribute 'build'"):
        load_factory(f"{name}:build")


@pytest.mark.parametrize(
    ("source", "culprit"),
    [
        ("def make(:\n", "SyntaxError"),
        ("import no_such_package\n", "no_such_package"),
        ("raise ValueError('line one\\nline two')\n", "ValueError: line one line two"),
    ],
)
def test_a_module_that_cannot_be_imported(
    module: Module, refuses: Any, source: str, culprit: str
) -> None:
    name, _ = module(source)
    with refuses(f"model='{name}:make'", culprit):
        load_factory(f"{name}:make")


def test_a_factory_that_is_no_function(module: Module, refuses: Any) -> None:
    name, _ = module("make = 3\n")
    with refuses(f"'{name}:make'", "callable", "int"):
        load_factory(f"{name}:make")


def test_a_factory_that_raises(module: Module, refuses: Any) -> None:
    name, file = module(
        "def make():\n    return open_weights('w.pt')\n\n"
        "def open_weights(path):\n    raise FileNotFoundError(f'no {path}')\n"
    )
    with refuses(
        f"'{name}:make'",
        "FileNotFoundError: no w.pt",
        f"{file.name}:5",
        "raise FileNotFoundError(f'no {path}')",
    ):
        load_factory(f"{name}:make")


@pytest.mark.parametrize(("value", "kind"), [("None", "NoneType"), ("lambda x: x", "function")])
def test_a_factory_that_returns_no_module(
    module: Module, refuses: Any, value: str, kind: str
) -> None:
    name, _ = module(f"def make():\n    return {value}\n")
    with refuses(f"'{name}:make'", "torch.nn.Module", kind):
        load_factory(f"{name}:make")


@pytest.mark.parametrize(
    ("returned", "culprit"),
    [
        ("self.linear(x.mean((2, 3)))[:, :2]", "(2, 2)"),
        ("self.linear(x.mean((2, 3)))[0]", "(3,)"),
        ("(x, x)", "tuple"),
        ("self.linear(x.mean((2, 3))) / 0", "finite logits"),
    ],
)
def test_output_of_the_wrong_kind(
    module: Module, refuses: Any, returned: str, culprit: str
) -> None:
    name, _ = module(GOOD.replace("self.linear(x.mean((2, 3)))", returned))
    model = load_factory(f"{name}:make")
    with refuses(f"model={name!r}", culprit):
        check_model(model, channels=3, size=8, classes=3, name=name)


def test_a_model_for_other_images(module: Module, refuses: Any) -> None:
    name, file = module(GOOD)
    with refuses(
        f"model={name!r}", "(N, 1, 8, 8)", file.name, "return self.linear(x.mean((2, 3)))"
    ):
        check_model(load_factory(f"{name}:make"), channels=1, size=8, classes=3, name=name)


def test_a_model_that_branches_on_values_cannot_be_traced(module: Module, refuses: Any) -> None:
    branch = "        if x.sum() > 0:\n            x = -x\n"
    name, file = module(GOOD.replace("        return self", f"{branch}        return self"))
    line = file.read_text().splitlines().index("        if x.sum() > 0:") + 1
    with refuses(f"model={name!r}", f"{file.name}:{line}", "if x.sum() > 0:", "control flow"):
        trace(load_factory(f"{name}:make"), name)


def test_tracing_and_checking_leave_the_model_unchanged() -> None:
    model = build_zoo_model("lenet5", classes=3, width=2, size=16)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    check_model(model, channels=3, size=16, classes=3, name="lenet5")
    graph = trace(model, "lenet5")
    assert isinstance(graph, nn.Module)
    after: dict[str, Tensor] = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
