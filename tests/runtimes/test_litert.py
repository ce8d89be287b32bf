"""LiteRT files that Keras made (``benchmarks/keras_files.py`` wrote them)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compd.fuzz import Blackbox, fuzz
from compd.given import pair_of_files
from compd.runtimes import Wish, open_file

Refuses = Callable[..., Any]
ASSETS = Path(__file__).parents[1] / "assets"
PIXELS = Wish(range=(-1.0, 1.0))  # what the network was trained on
KINDS = ("float", "hybrid", "float16", "int8")


def colours(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(5)
    labels = draw.integers(0, 3, count)
    images = draw.integers(60, 180, (count, 3, 8, 8))
    images[np.arange(count), labels] += 20
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels)


@pytest.mark.parametrize("kind", KINDS)
def test_answers(kind: str) -> None:
    images, labels = colours(90)
    runtime = open_file(ASSETS / f"{kind}.tflite", PIXELS)
    form = runtime.format
    assert (form.layout, form.classes, form.output) == ("NHWC", 3, "probs")
    logits = runtime.run(images)
    torch.testing.assert_close(logits.softmax(1).sum(1), torch.ones(90))
    assert float((logits.argmax(1) == labels).double().mean()) > 0.8
    # whatever the batch
    alone = torch.cat([runtime.run(images[i : i + 1]) for i in range(90)])
    assert float((alone.argmax(1) != logits.argmax(1)).double().mean()) < 0.03
    plain = runtime.plain().run(images)
    assert float((plain.argmax(1) != logits.argmax(1)).double().mean()) < 0.05


def test_what_the_int8_file_says_of_its_input() -> None:
    form = open_file(ASSETS / "int8.tflite").format
    assert form.dtype == "int8"
    assert form.range == (-1.0, 1.0)
    assert form.grid is not None
    assert form.output_grid is not None


@pytest.mark.parametrize(
    ("kind", "computes"),
    [("float", "float32"), ("hybrid", "hybrid"), ("int8", "int8")],
)
def test_census(kind: str, computes: str) -> None:
    census = open_file(ASSETS / f"{kind}.tflite", PIXELS).census
    assert computes in census
    assert ("int8" in census) == (kind == "int8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, image in enumerate(colours(24)[0]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:02}.png")
    return tmp_path


def test_a_hybrid_file_is_searched_without_gradients(folder: Path) -> None:
    files = (ASSETS / "float.tflite", ASSETS / "hybrid.tflite")
    pair, splits = pair_of_files(*files, data=str(folder), wish=PIXELS)
    assert not pair.has_shadow
    assert "no gradients" in pair.notes[0]
    campaign = fuzz(pair, splits.seeds, strategy=Blackbox(queries=600))
    found = {finding.seed_row for finding in campaign}
    assert len(found) >= 3  # a hybrid of so small a network is close to it


@pytest.mark.parametrize(
    ("content", "part"), [(b"hello, world", "LiteRT"), (b"\0\0\0\0TFL3 and no more", "LiteRT")]
)
def test_no_litert_file(tmp_path: Path, refuses: Refuses, content: bytes, part: str) -> None:
    (tmp_path / "a.tflite").write_bytes(content)
    with refuses(part, "a.tflite"):
        open_file(tmp_path / "a.tflite")


def test_a_file_cut_short(tmp_path: Path, refuses: Refuses) -> None:
    whole = (ASSETS / "int8.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    with refuses("expected", "cut.tflite"):
        open_file(tmp_path / "cut.tflite")
