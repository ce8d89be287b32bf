"""Arrays as CIFAR-10-C and MNIST-C publish them, and folders with frost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from compd.images import encode_png
from compd.shifts import Shift, apply_shift, published_sets, read_frost

DRAW = np.random.default_rng(0)
FOG, SNOW = (DRAW.integers(0, 256, (20, 32, 32, 3), np.uint8) for _ in range(2))
LABELS = np.tile(np.array([3, 1, 0, 9], np.uint8), 5)


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    for name, array in {"snow": SNOW, "fog": FOG, "labels": LABELS}.items():
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


def test_severities_lie_one_after_the_other(arrays: Path) -> None:
    sets = published_sets(arrays)
    assert [str(one.shift) for one in sets] == [
        f"{k}:{s}" for k in ("snow", "fog") for s in range(1, 6)
    ]
    third = sets[7]
    assert third.shift == Shift("fog", 3)
    assert len(third.images) == 4
    assert third.images.shape == (4, 3, 32, 32)
    assert torch.equal(third.images[1:3], torch.from_numpy(FOG[9:11].transpose(0, 3, 1, 2).copy()))
    assert torch.equal(third.images[1], third.images[1:2][0])
    assert third.labels.tolist() == [3, 1, 0, 9]
    images = third.images[:]
    images.fill_(0)
    assert third.images[:].any()  # the file is left alone


def test_digits_lie_in_folders(tmp_path: Path) -> None:
    for name in ("identity", "fog"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "test_images.npy", FOG[:6, :28, :28, :1])
        np.save(tmp_path / name / "test_labels.npy", np.arange(6))
    sets = published_sets(tmp_path)
    assert [str(one.shift) for one in sets] == ["mnist_identity:1", "mnist_fog:5"]
    assert sets[0].images[:].shape == (6, 1, 28, 28)
    assert sets[0].labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("fog", FOG.astype(np.float32), ["uint8", "float32", "fog.npy"]),
        ("fog", FOG[..., 0], ["(N, H, W, C)", "(20, 32, 32)"]),
        ("fog", FOG.transpose(0, 3, 1, 2), ["(20, 3, 32, 32)"]),
        ("fog", FOG[:, :4], ["at least 8"]),
        ("fog", FOG[:19], ["as many images as labels (20)", "19"]),
        ("saturate", FOG[..., :1], ["C 3", "saturate.npy"]),
        ("fgo", FOG, ["did you mean 'fog'", "fgo.npy"]),
        ("awgn", FOG, ["severities 1 to 5", "awgn.npy"]),
        ("labels", LABELS.astype(float), ["whole numbers", "labels.npy"]),
        ("labels", LABELS.astype(int) - 1, ["from 0 on", "-1"]),
        ("labels", LABELS[:0], ["(0,)"]),
        ("fog", np.array([{}]), ["fog.npy", "get it anew"]),
    ],
)
def test_claims_of_files_are_checked(
    arrays: Path, refuses: Callable, name: str, array: np.ndarray, says: list[str]
) -> None:
    np.save(arrays / f"{name}.npy", array, allow_pickle=True)
    with refuses(*says):
        published_sets(arrays)


def test_counts_have_to_be_of_five_severities(tmp_path: Path, refuses: Callable) -> None:
    np.save(tmp_path / "fog.npy", FOG[:18])
    np.save(tmp_path / "labels.npy", LABELS[:18])
    with refuses("five severities", "18 images"):
        published_sets(tmp_path)


def test_damaged_and_missing_files_are_one_line(arrays: Path, refuses: Callable) -> None:
    (arrays / "fog.npy").write_bytes((arrays / "fog.npy").read_bytes()[:-100])
    with refuses("fog.npy", "get it anew"):
        published_sets(arrays)
    (arrays / "fog.npy").write_bytes(b"")
    with refuses("fog.npy"):
        published_sets(arrays)
    (arrays / "fog.npy").unlink()
    (arrays / "fog.npy").mkdir()
    with refuses("no regular file"):
        published_sets(arrays)
    with refuses("no such folder", "nowhere"):
        published_sets(arrays / "nowhere")
    (arrays / "empty").mkdir()
    with refuses("unpack"):
        published_sets(arrays / "empty")


def test_frost_of_ones_own(tmp_path: Path, refuses: Callable) -> None:
    photo = torch.full((3, 60, 90), 200, dtype=torch.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(photo))
    frost = read_frost(tmp_path)
    assert [one.shape for one in frost] == [(3, 60, 90)]
    for side, mixed in ((32, 0.9 * 100 + 0.4 * 200), (80, 0.7 * 100 + 0.7 * 200)):
        images = torch.full((2, 3, side, side), 100, dtype=torch.uint8)
        found = apply_shift(Shift("frost", 3), images, frost=frost)  # scaled, not to be too small
        assert (found.double() - mixed).abs().max() <= 1
    assert apply_shift(Shift("frost", 3), images[:, :1], frost=frost).shape == (2, 1, 80, 80)
    (tmp_path / "b.png").write_bytes(b"no picture")
    with refuses("b.png"):
        read_frost(tmp_path)
    with refuses("frost", "nowhere"):
        read_frost(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with refuses("got none"):
        read_frost(tmp_path / "empty")
