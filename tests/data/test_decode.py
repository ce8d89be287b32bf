"""Many image files become one batch, in memory that is taken once."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from compd.data.decode import decode_all
from compd.images import encode_png
from compd.sizes import Size

MakeImages = Callable[..., Tensor]


@pytest.mark.parametrize("count", [1, 63, 64, 200])  # a chunk has 64
@pytest.mark.parametrize("channels", [1, 3])
def test_each_file_has_its_place(make_images: MakeImages, count: int, channels: int) -> None:
    images = make_images(count, channels=channels)
    files, names = [encode_png(image) for image in images], [str(i) for i in range(count)]
    assert torch.equal(decode_all(files, names, channels=channels, size=None).images, images)
    scaled = decode_all(files, names, channels=channels, size=Size(5, 5)).images
    assert scaled.shape == (count, channels, 5, 5)


def test_images_of_two_sizes(make_images: MakeImages, refuses: Any) -> None:
    files = [encode_png(image) for image in make_images(70, height=4)]
    files[66] = encode_png(make_images(1, height=2, width=4)[0])
    with refuses("4x4 (0)", "2x4 (66; height x width)", "--size"):
        decode_all(files, [str(i) for i in range(70)], channels=3, size=None)
    scaled = decode_all(files, [str(i) for i in range(70)], channels=3, size=Size(4, 4))
    assert len(scaled.images) == 70
    assert scaled.stretched.nonzero().flatten().tolist() == [66]


def test_none_and_too_many(make_images: MakeImages, refuses: Any) -> None:
    with refuses("at least one image"):
        decode_all([], [], channels=3, size=None)
    large = encode_png(make_images(1, height=2000)[0])
    with refuses("fit into memory", "2000x2000"):  # 12 TB, asked for at once and not taken
        decode_all([large] * 1_000_000, ["x"] * 1_000_000, channels=3, size=None)
