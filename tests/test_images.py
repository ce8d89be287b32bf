from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from compd.images import (
    check_batch,
    decode_png,
    distances,
    encode_png,
    pixel_hash,
    png_round_trip,
    read_image,
)


@st.composite
def batches(draw: st.DrawFn, *, most: int = 3, side: int = 16) -> Tensor:
    n, channels = draw(st.integers(1, most)), draw(st.sampled_from([1, 3]))
    shape = (n, channels, draw(st.integers(1, side)), draw(st.integers(1, side)))
    count = int(np.prod(shape))
    kind = draw(st.sampled_from(["noise", "flat", "extremes"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "noise":
        pixels = rng.integers(0, 256, count)
    elif kind == "flat":
        pixels = np.full(count, draw(st.integers(0, 255)))
    else:
        pixels = rng.choice([0, 255], count)
    return torch.from_numpy(pixels.astype(np.uint8).reshape(shape))


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_pointer_of_git_lfs_says_what_to_do(refuses) -> None:
    with refuses("git lfs pull"):
        decode_png(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")


@given(batches())
def test_png_round_trip_is_the_identity(images: Tensor) -> None:
    assert torch.equal(png_round_trip(images), images)


@given(batches(most=1))
def test_encoding_is_deterministic_and_readable_by_both_decoders(images: Tensor) -> None:
    image = images[0]
    data = encode_png(image)
    assert data == encode_png(image.clone())
    assert torch.equal(decode_png(data), image)
    assert torch.equal(read_image(data, "it", channels=image.shape[0]), image)


def test_the_round_trip_of_no_images_is_no_images(make_images: Callable[..., Tensor]) -> None:
    assert png_round_trip(make_images(0)).shape == (0, 3, 8, 8)


@given(batches(most=1))
def test_pixel_hash_is_the_hash_of_what_a_viewer_decodes(images: Tensor) -> None:
    with Image.open(io.BytesIO(encode_png(images[0]))) as picture:
        expected = hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()
    assert pixel_hash(images[0]) == expected


def test_pixel_hash_ignores_the_memory_layout(make_images: Callable[..., Tensor]) -> None:
    images = make_images(2)
    other = images.contiguous(memory_format=torch.channels_last)
    assert pixel_hash(images[0]) == pixel_hash(other[0])
    assert pixel_hash(images[0]) != pixel_hash(images[1])


@given(batches(side=6), st.integers(0, 2**32 - 1))
def test_distances_are_symmetric_bounded_and_zero_only_on_itself(seeds: Tensor, draw: int) -> None:
    rng = np.random.default_rng(draw)
    other = torch.from_numpy(rng.integers(0, 256, tuple(seeds.shape), dtype=np.uint8))
    there, back = distances(other, seeds), distances(seeds, other)
    assert torch.equal(there.linf, back.linf)
    assert torch.equal(there.l2, back.l2)
    assert torch.equal(there.psnr, back.psnr)
    assert bool((there.l2 <= there.linf / 255 + 1e-6).all())
    changed = (other != seeds).flatten(1).any(1)
    assert torch.equal(there.linf > 0, changed)
    assert torch.equal(there.l2 > 0, changed)
    same = distances(seeds, seeds)
    assert not same.linf.any()
    assert not same.l2.any()
    assert bool((same.psnr == torch.inf).all())


def test_distances_of_known_images() -> None:
    black = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    found = distances(black + 255, black)
    assert found.linf.tolist() == [255]
    assert found.l2.tolist() == [1.0]
    assert found.psnr.tolist() == [0.0]
    assert distances(black[:0], black[:0]).linf.shape == (0,)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 2, 2),
        torch.zeros(3, 2, 2, dtype=torch.uint8),
        torch.zeros(1, 2, 2, 2, dtype=torch.uint8),
    ],
    ids=["floats", "three dimensions", "two channels"],
)
def test_what_is_not_on_the_lattice_is_refused(images: Tensor, refuses: Any) -> None:
    with refuses("candidates=", str(tuple(images.shape))):
        check_batch(images, "candidates")


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def test_grey_becomes_rgb_by_repeating() -> None:
    image = read_image(saved(Image.fromarray(GREY)), "grey.png")
    assert torch.equal(image, torch.from_numpy(GREY).expand(3, -1, -1))


def test_one_channel_is_kept_where_one_is_asked_for() -> None:
    image = read_image(saved(Image.fromarray(GREY)), "grey.png", channels=1)
    assert torch.equal(image, torch.from_numpy(GREY)[None])


def test_palette_is_looked_up() -> None:
    picture = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    image = read_image(saved(picture), "palette.png")
    assert torch.equal(image, torch.from_numpy(RGB.copy()).permute(2, 0, 1))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_is_dropped(mode: str) -> None:
    picture = Image.fromarray(GREY).convert(mode)
    image = read_image(saved(picture), "opaque.png")
    assert torch.equal(image, torch.from_numpy(GREY).expand(3, -1, -1))


def test_one_bit_and_other_formats_are_read() -> None:
    bits = (GREY > 100).astype(np.uint8) * 255
    assert torch.equal(
        read_image(saved(Image.fromarray(bits).convert("1")), "bits.png", channels=1)[0],
        torch.from_numpy(bits),
    )
    for kind in ("BMP", "TIFF", "PPM"):
        image = read_image(saved(Image.fromarray(RGB), kind), kind)
        assert torch.equal(image, torch.from_numpy(RGB.copy()).permute(2, 0, 1))


# What a camera stores of an upright picture when it is held otherwise, by EXIF orientation.
_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", _STORED)
def test_photographs_are_turned_upright(orientation: int, kind: str) -> None:
    stored = Image.fromarray(np.ascontiguousarray(_STORED[orientation](RGB)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    image = read_image(saved(stored, kind, exif=exif, **lossless), "photo")
    assert torch.equal(image, torch.from_numpy(RGB.copy()).permute(2, 0, 1))


def test_orientations_of_a_jpeg_that_say_nothing() -> None:
    """Unknown numbers, and EXIF that is damaged, leave the picture as it is stored."""
    picture, exif = Image.new("RGB", (8, 6), (200, 30, 90)), Image.Exif()
    exif[0x0112] = 9
    assert read_image(saved(picture, "JPEG", exif=exif), "photo").shape == (3, 6, 8)
    damaged = saved(picture, "JPEG", exif=b"Exif\0\0none of this is EXIF")
    assert read_image(damaged, "photo").shape == (3, 6, 8)
    exif[0x0112] = 6
    assert read_image(saved(picture, "JPEG", exif=exif), "photo").shape == (3, 8, 6)


INKS, SEEN = (200, 30, 60, 20), (51, 207, 180)  # (255 - ink) * (255 - black) / 255


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_become_the_colours_of_the_print(kind: str) -> None:
    image = read_image(saved(Image.new("CMYK", (16, 16), INKS), kind, quality=100), "print")
    assert (image[:, 4, 4].short() - torch.tensor(SEEN)).abs().amax() <= 2
    grey = read_image(saved(Image.new("CMYK", (16, 16), INKS), kind), "print", channels=1)
    assert abs(int(grey[0, 4, 4]) - 157) <= 2


def test_a_ycck_jpeg() -> None:
    """As Photoshop writes it: the inks as luma and chroma, which Adobe's marker says."""
    red, green, blue = (255 - ink for ink in INKS[:3])
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = 128 + 0.564 * (blue - luma), 128 + 0.713 * (red - luma)
    parts = tuple(round(v) for v in (luma, *chroma, INKS[3]))  # stored inverted, as Adobe does
    data = bytearray(saved(Image.new("CMYK", (16, 16), parts), "JPEG", quality=100))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    image = read_image(bytes(data), "print.jpg")
    assert (image[:, 4, 4].short() - torch.tensor(SEEN)).abs().amax() <= 3


def test_an_empty_file_is_refused(refuses: Any) -> None:
    with refuses("empty.png", "0 bytes"):
        read_image(b"", "empty.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_truncated_file_is_refused(kind: str, refuses: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with refuses("cut.img", "corrupt or truncated"):
        read_image(data[: len(data) // 2], "cut.img")


def test_what_is_no_image_is_refused(refuses: Any) -> None:
    with refuses("notes.png", "something else"):
        read_image(b"not an image at all", "notes.png")


@pytest.mark.parametrize(
    ("colour", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)], ids=["grey", "RGB", "LA", "RGBA"]
)
def test_sixteen_bits_are_refused(colour: int, samples: int, make_png: Any, refuses: Any) -> None:
    row = struct.pack(f">{2 * samples}H", *([65535] * (2 * samples)))
    data = make_png([row], 2, depth=16, colour=colour)
    with refuses("deep.png", "16 bits"):
        read_image(data, "deep.png")
    with refuses():
        decode_png(data)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_refused(mode: str, refuses: Any) -> None:
    picture = Image.fromarray(GREY).convert(mode)
    picture.putalpha(Image.fromarray(GREY))
    with refuses("clear.png", "transparency", "lowest alpha 0"):
        read_image(saved(picture), "clear.png")


def test_a_transparent_palette_entry_is_refused(refuses: Any) -> None:
    picture = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    used = int(np.asarray(picture)[0, 0])
    with refuses("palette.png", "transparency"):
        read_image(saved(picture, transparency=used), "palette.png")


@pytest.mark.parametrize(
    ("colour", "row", "key"),
    [(0, bytes([7, 9]), struct.pack(">H", 7)), (2, bytes(range(6)), struct.pack(">3H", 0, 1, 2))],
    ids=["grey", "RGB"],
)
def test_a_transparent_colour_is_refused(
    colour: int, row: bytes, key: bytes, make_png: Any, refuses: Any
) -> None:
    with refuses("keyed.png", "transparency"):
        read_image(make_png([row], 2, depth=8, colour=colour, transparent=key), "keyed.png")
    unused = struct.pack(f">{len(key) // 2}H", *[200] * (len(key) // 2))
    data = make_png([row], 2, depth=8, colour=colour, transparent=unused)
    assert read_image(data, "keyed.png").shape == (3, 1, 2)


def test_a_decompression_bomb_is_refused(make_png: Any, refuses: Any) -> None:
    with refuses("bomb.png", "pixels"):
        read_image(make_png([b""] * 60_000, 60_000, depth=8, colour=0), "bomb.png")


def test_the_strict_decoder_reads_nothing_but_what_the_encoder_writes(refuses: Any) -> None:
    for picture, kind in [
        (Image.fromarray(RGB), "BMP"),
        (Image.fromarray(RGB).convert("RGBA"), "PNG"),
        (Image.fromarray(RGB).convert("P"), "PNG"),
        (Image.fromarray(GREY).convert("1"), "PNG"),
    ]:
        came = "something else" if kind == "BMP" else picture.mode
        with refuses("8-bit grey or RGB PNG", came):
            decode_png(saved(picture, kind))


WHOLE = encode_png(torch.arange(3 * 6 * 5, dtype=torch.uint8).reshape(3, 6, 5))


@given(length=st.integers(0, len(WHOLE)))
def test_a_cut_file_gives_the_image_or_one_line(length: int, refuses: Any) -> None:
    with refuses(always=False):
        assert torch.equal(decode_png(WHOLE[:length]), decode_png(WHOLE))


@given(changes=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4))
@example(changes=[(24, 16)])  # the bit depth
def test_a_damaged_file_gives_an_image_or_one_line(
    changes: list[tuple[int, int]], refuses: Any
) -> None:
    damaged = bytearray(WHOLE)
    for place, value in changes:
        damaged[place] = value
    with refuses("damaged.png", always=False):
        image = read_image(bytes(damaged), "damaged.png")
        assert image.dtype == torch.uint8
        assert image.shape[0] == 3
