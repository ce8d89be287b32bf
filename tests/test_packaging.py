"""What a package index shows: addresses that lead somewhere from there."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_has_absolute_addresses_of_files_that_there_are(hook: ModuleType) -> None:
    metadata = {"version": "1.2.3"}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    config = settings["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    hook.Addresses(str(ROOT), config).update(metadata)
    base = re.escape(config["repository"])
    text = metadata["readme"]["text"]
    found = re.findall(r"\]\(([^)\s]+)", text)
    assert len(found) > 10
    for address in found:
        assert address.startswith("https://"), address
        inside = re.match(rf"{base}/(raw|blob)/v1\.2\.3/([^#]+)", address)
        if inside is not None:
            assert (ROOT / inside[2]).exists(), address
            assert (inside[1] == "raw") == address.endswith(".png")
    assert all(one.startswith(config["repository"]) for one in metadata["urls"].values())


def test_code_and_other_addresses_stay(hook: ModuleType) -> None:
    text = (
        "[a](b.md) ![c](d.png) [![e](f.png)](g.md#h) [i](https://j) [k](#l)\n```\n[m](n.md)\n```\n"
    )
    assert hook.absolute(text, repository="https://r", tag="v1") == (
        "[a](https://r/blob/v1/b.md) ![c](https://r/raw/v1/d.png) "
        "[![e](https://r/raw/v1/f.png)](https://r/blob/v1/g.md#h) [i](https://j) "
        "[k](https://r/blob/v1/README.md#l)\n```\n[m](n.md)\n```\n"
    )
