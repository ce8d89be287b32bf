"""A whole command on two files: each model is asked about each clean image once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from torch import Tensor
from typer.testing import CliRunner

pytest.importorskip("onnxruntime", reason="needs the extra compd[onnx]")

from tiny_files import onnx_files, photos

from compd.cli import app
from compd.data import load_data
from compd.runtimes import FileRuntime, FloatRuntime


@pytest.mark.parametrize("goal", ["first", "severe"])
def test_fuzz_on_files_evaluates_no_clean_image_twice(
    goal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos()
    part = load_data(str(folder)).train
    clean = {image.numpy().tobytes() for image in part.images}
    asked: Counter[tuple[str, bytes]] = Counter()
    alive: list[object] = []  # so that no other model gets the identity of one that is gone

    def counted(kind: type[FileRuntime | FloatRuntime]) -> None:
        run = kind.run

        def count(self: FileRuntime | FloatRuntime, images: Tensor) -> Tensor:
            alive.append(self)
            # the same file, read otherwise, is another model
            who = f"{self.name} {self.engine} {self.takes} {id(getattr(self, '_module', None))}"
            for image in images:
                if (data := image.numpy().tobytes()) in clean:
                    asked[who, data] += 1
            return run(self, images)

        monkeypatch.setattr(kind, "run", count)

    counted(FileRuntime)
    counted(FloatRuntime)
    original, deployed = onnx_files()
    words = f"fuzz --original {original} --deployed {deployed} --data {folder} --goal {goal}"
    words += f" --eps 8 --seeds 20 --corpus {tmp_path / 'found'} --json {tmp_path / 'out.json'}"
    done = CliRunner().invoke(app, words.split(), env={"COMPD_CACHE": str(tmp_path / "cache")})
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text())
    for file in (original, deployed):
        mine = [key for key in asked if key[0].startswith(file.name) and "RGB" in key[0]]
        assert len(mine) >= report["clean_images"]
    assert len({who for who, _ in asked}) >= 3  # both files and the shadow
    assert max(asked.values()) == 1
