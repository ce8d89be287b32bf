"""The notebook of the docs runs from its first cell to its last, and is stored with its outputs."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FILE = DOCS / "tutorial.ipynb"


def outputs(cells: list[Any]) -> str:
    """All that the cells have said, as one text."""
    return json.dumps([cell.get("outputs", []) for cell in cells], ensure_ascii=False)


def test_the_notebook_is_stored_with_its_outputs() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    cells = json.loads(text)["cells"]
    said = outputs(cells)
    assert said.count("data:image/png;base64,") >= 6  # seed, deviation, difference of two findings
    assert '"error"' not in said
    assert not re.search(r'(?<![\w"])/(tmp|root|home|work|Users)/', text)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel", reason="needs the extra compd[dev]")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra compd[dev]")
    nbformat = pytest.importorskip("nbformat")
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter"),
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": os.pathsep.join([str(DOCS.parent), os.environ.get("PYTHONPATH", "")]),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "here").mkdir()
    book = nbformat.read(FILE, as_version=4)
    nbclient.NotebookClient(
        book,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path / "here")}},
    ).execute()  # raises if a cell does
    said = outputs(book.cells)
    assert re.search(r"Finding\(all\[\d+\]: \d → \d, severity 0\.\d{3}, Linf \d+/255\)", said)
    assert "new deviations 1" in said
    assert "clean 0" in said
    assert list((tmp_path / "here").iterdir()) == []  # what it wrote is gone
    assert list((tmp_path / "temporary").glob("tmp*")) == []
