"""The names of compd, as ``dir()``, ``help()``, completion, pickles and type checkers meet them."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import pydoc
import re
import subprocess
import sys

import pytest

import compd
from compd.errors import CompdError

LAZY = ("compd", "compd.testing")


def listed(doc: str) -> list[str]:
    """The names that a package's docstring has a line for."""
    return re.findall(r"^ {4}(\w+) {2,}\S.*$", doc, re.MULTILINE)


@pytest.mark.parametrize("package", LAZY)
def test_dir_has_the_public_names_alone(package: str) -> None:
    module = importlib.import_module(package)
    assert dir(module) == sorted(module.__all__)
    assert [name for name, _ in inspect.getmembers(module)] == sorted(module.__all__)


@pytest.mark.parametrize("package", LAZY)
def test_help_has_a_line_for_each_name(package: str) -> None:
    module = importlib.import_module(package)
    names = listed(module.__doc__ or "")
    assert sorted(names) == sorted({*module.__all__} - {"__version__"})
    text = pydoc.plain(pydoc.render_doc(module))
    assert [name for name in names if not re.search(rf"^ {{8}}{name} {{2,}}\S", text, re.M)] == []
    assert all(len(line) <= 100 for line in (module.__doc__ or "").splitlines())


@pytest.mark.parametrize("package", LAZY)
def test_no_module_hides_a_name(package: str) -> None:
    module = importlib.import_module(package)
    parts = {part.name for part in pkgutil.iter_modules(module.__path__)}
    assert parts & {*module.__all__} == set()


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match="module 'compd' has no attribute 'fuz'") as caught:
        _ = compd.fuz  # type: ignore[attr-defined]
    assert caught.value.name == "fuz"
    assert caught.value.obj is compd  # what Python makes "Did you mean: 'fuzz'?" of
    assert not hasattr(compd, "annotations_of")


def test_everything_can_be_imported_and_pickled() -> None:
    names: dict[str, object] = {}
    exec("from compd import *", names)
    assert {*compd.__all__} <= names.keys()
    for name in compd.__all__:
        value = names[name]
        assert pickle.loads(pickle.dumps(value)) is value or isinstance(value, str)
        if callable(value):
            assert inspect.signature(value)
            assert inspect.getdoc(value)
    assert issubclass(compd.CompdError, CompdError)


def test_looking_at_the_names_imports_nothing() -> None:
    code = (
        "import sys\nbefore = {*sys.modules}\nimport compd, compd.testing\n"
        "dir(compd), dir(compd.testing), compd.__doc__\n"
        "print(sorted(n for n in {*sys.modules} - before if n.startswith('compd')))\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "['compd', 'compd._version', 'compd.lazy', 'compd.testing']",
        "False False",
    ]


def test_completion_knows_the_names() -> None:
    completer = pytest.importorskip("IPython.core.completer", reason="needs IPython")
    complete = completer.Completer(namespace={"compd": compd})
    assert {"compd.fuzz", "compd.Finding"} <= set(complete.attr_matches("compd.f") or []) | set(
        complete.attr_matches("compd.F") or []
    )
