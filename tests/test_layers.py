"""A module imports only from layers above its own: one way, top to bottom, and in no circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import compd

# Ten layers, top to bottom; within a layer, each part may import those named before it.
LAYERS = {
    "leaves": [
        "_version",
        "lazy",
        "text",
        "wording",
        "errors",
        "sizes",
        "statistics",
        "rng",
        "control",
        "logits",
        "registry",
        "images",
    ],
    "ground": ["files", "system", "shifts"],
    "networks": ["models", "data", "training"],
    "converters": ["onnx", "tflite"],
    "compression": ["compress", "runtimes"],
    "pair": ["pair"],
    "search": ["search"],
    "corpus": ["corpus"],
    "work": ["repairing", "studies", "report", "gating", "exporting", "testing"],
    "entrance": ["plugins", "__init__", "cli", "__main__"],
}
PARTS = [part for parts in LAYERS.values() for part in parts]
PACKAGE = Path(compd.__file__).parent


def part_of_file(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return ".".join(("compd", *path.relative_to(PACKAGE).with_suffix("").parts))


def imported(path: Path, *, when_run: bool = False) -> Iterator[str]:
    """Names of modules, or of what is in them; ``when_run`` leaves out what only types need."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if when_run and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body.clear()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "compd":
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "compd":
                    yield alias.name


def part_of(name: str) -> str:
    """The part that a name is of; ``import compd`` and ``from compd import x`` are the entrance."""
    part = (*name.split("."), "")[1]
    return part if part in PARTS else "__init__"


def test_every_part_has_a_layer() -> None:
    assert len(LAYERS) == 10
    assert {part_of_file(path) for path in PACKAGE.rglob("*.py")} == set(PARTS)


def test_imports_go_one_way() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in PACKAGE.rglob("*.py")
        for name in imported(path)
        for own, other in [(part_of_file(path), part_of(name))]
        if other != own and PARTS.index(other) >= PARTS.index(own) and own != "__init__"
    ]
    assert wrong == []


def test_the_entrance_is_above_nothing_but_the_command_line() -> None:
    assert part_of("compd") == part_of("compd.__version__") == "__init__"
    assert part_of("compd.errors.CompdError") == "errors"
    users = {
        part_of_file(path)
        for path in PACKAGE.rglob("*.py")
        if any(part_of(name) == "__init__" for name in imported(path))
    }
    assert users <= {"cli", "__main__"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {name_of(path).removesuffix(".__init__"): path for path in PACKAGE.rglob("*.py")}
    graph = {}
    for module, path in modules.items():
        found = set()
        for name in imported(path, when_run=True):
            while name not in modules:
                name = name.rpartition(".")[0]
            found.add(name)
        graph[module] = found - {module}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_only_the_command_line_prints() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if part_of_file(path) != "cli"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("print", "breakpoint")
    ]
    assert wrong == []
