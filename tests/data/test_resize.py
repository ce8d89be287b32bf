"""Photographs of any shape become images of a size, as other tools make them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from compd.data import Resize, load_data
from compd.images import encode_png


def noise(height: int, width: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (channels, height, width), generator=generator).to(torch.uint8)


def pillow(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("height", "width", "scaled", "left", "top"),
    [  # torchvision's Resize(256), which cuts off fractions, and CenterCrop(224), which rounds
        (375, 500, (341, 256), 58, 16),
        (500, 375, (256, 341), 16, 58),
        (300, 300, (256, 256), 16, 16),
        (40, 50, (320, 256), 48, 16),
    ],
)
def test_as_torchvision_crops(
    height: int, width: int, scaled: tuple[int, int], left: int, top: int
) -> None:
    image = noise(height, width)
    picture = pillow(image).resize(scaled, Image.Resampling.BILINEAR)
    want = tensor(picture.crop((left, top, left + 224, top + 224)))
    assert torch.equal(Resize("crop", (224, 256))(image, 224, 224, "x"), want)


def test_the_largest_centre() -> None:
    image = noise(10, 30)
    assert torch.equal(Resize("crop")(image, 10, 10, "x"), image[:, :, 10:20])
    assert torch.equal(Resize("crop")(image, 10, 20, "x"), image[:, :, 5:25])
    assert torch.equal(Resize("crop")(image, 5, 15, "x"), Resize()(image, 5, 15, "x"))


def test_padding_keeps_all_of_it_on_black() -> None:
    image = noise(10, 30)
    padded = Resize("pad")(image, 30, 30, "x")
    assert torch.equal(padded[:, 10:20], image)
    assert not padded[:, :10].any()
    assert not padded[:, 20:].any()
    small = Resize("pad")(image, 15, 15, "x")
    assert torch.equal(small[:, 5:10], Resize()(image, 5, 15, "x"))


@given(
    st.sampled_from(["stretch", "crop", "crop 224/256", "pad"]),
    st.tuples(*[st.integers(1, 40)] * 4),
    st.sampled_from([1, 3]),
)
def test_any_shape_becomes_any_size(way: str, sides: tuple[int, ...], channels: int) -> None:
    h, w, height, width = sides
    resize = Resize.parse(way)
    assert str(resize) == way
    image = torch.full((channels, h, w), 77, dtype=torch.uint8)
    found = resize(image, height, width, "x")
    assert found.shape == (channels, height, width)
    assert found.dtype == torch.uint8
    held = found[0] == 77
    assert held.all() if way != "pad" else held.any(0).all() or held.any(1).all()


def test_ways_that_make_no_sense(refuses: Any) -> None:
    with refuses("resize to be one of crop, pad, stretch", "did you mean 'crop'"):
        Resize("crops")
    with refuses("--resize crop with --crop", "resize='pad'"):
        Resize.of("pad", "224/256")
    for crop in ("256/224", "0/3", "224", "a/b", "99999/99999"):
        with refuses("224/256", crop):
            Resize.of(None, crop)
    with refuses("line.png", "1x100000", "--resize pad"):
        Resize("crop")(noise(1, 100_000), 224, 224, "line.png")


def photographs(folder: Path) -> Path:
    for name, height, width in (("cat", 20, 30), ("dog", 16, 16)):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            (folder / name / f"{i}.png").write_bytes(encode_png(noise(height, width)))
    return folder


def test_the_way_is_part_of_the_identity_where_it_is_not_the_default(tmp_path: Path) -> None:
    folder = str(photographs(tmp_path / "photos"))
    plain = load_data(folder, size=16)
    assert load_data(folder, size=16, resize="stretch").identity == plain.identity
    ways = ["crop", "pad", "crop 224/256"]
    found = [load_data(folder, size=16, resize=way) for way in ways]
    assert len({plain.identity, *(data.identity for data in found)}) == 4
    assert [data.resize for data in (plain, *found)] == ["", *ways]


def test_which_images_were_stretched_unasked(tmp_path: Path) -> None:
    folder = str(photographs(tmp_path / "photos"))
    part = load_data(folder, size=16).train
    assert part.stretched is not None
    assert part.stretched.tolist() == (part.labels == 0).tolist()
    for way in ("stretch", "crop"):
        said = load_data(folder, size=16, resize=way).train.stretched
        assert said is None or not said.any()


def test_a_way_without_a_size(tmp_path: Path, refuses: Any) -> None:
    with refuses("--size with --resize"):
        load_data(str(photographs(tmp_path / "photos")), resize="crop")
    with refuses("data='digits'"):
        load_data("digits", size=16, resize="crop")
