"""A module imports only from rows above its own: one way, top to bottom."""

import ast
from pathlib import Path

import compd

ROWS = [
    {"printable", "lazy"},
    {"errors"},
    {"storage"},
    {"reading", "outputs", "system", "plugins", "progress", "images", "intervals", "quiet"},
    {"models"},
    {"data"},
    {"training"},
    {"compress"},
    {"runtimes"},
    {"spec", "cached", "answers"},
    {"pair"},
    {"original", "agreement"},
    {"compare"},
    {"build", "given"},
    {"engines", "export"},
    {"fuzz", "preflight"},
    {"corpus"},
    {"repair"},
    {"report"},
    {"gate"},
    {"testing"},
    {"cli"},
    {"__init__", "__main__"},
]
PACKAGE = Path(compd.__file__).parent


def row_of(part: str) -> int:
    return next(i for i, row in enumerate(ROWS) if part in row)


def part_of_file(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("compd."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("compd.")}
    return found


def test_every_part_has_a_row() -> None:
    parts = {part_of_file(path) for path in PACKAGE.rglob("*.py")}
    assert parts == set().union(*ROWS)


def test_imports_go_one_way() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports compd.{other}"
        for path in PACKAGE.rglob("*.py")
        for part in [part_of_file(path)]
        for other in imports(path)
        if other != part and row_of(other) >= row_of(part)
    ]
    assert wrong == []


def test_only_the_command_line_prints() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if part_of_file(path) != "cli"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("print", "breakpoint")
    ]
    assert wrong == []
