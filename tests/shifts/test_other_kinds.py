"""Noise and streaks, the kinds of MNIST-C, pipelines and the camera, beside independent figures."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from compd.shifts import Shift, apply_shift
from compd.shifts.camera import CAMERA

MakeImages = Callable[..., Tensor]
Array = NDArray[np.float64]


def shifted(kind: str, level: float, images: Tensor) -> Array:
    return apply_shift(Shift(kind, level), images).numpy().astype(float)


def flat(level: int, *, n: int = 1, channels: int = 1, side: int = 28) -> Tensor:
    images = torch.full((n, channels, side, side), level, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(n)  # other draws for each
    return images


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """Ten grey images of 28 pixels, black at the border."""
    noise = np.random.default_rng(2).random((10, 1, 28, 28))
    soft = ndimage.gaussian_filter(noise, (0, 0, 2, 2))
    soft = (soft - 0.5) / np.abs(soft - 0.5).max()
    soft[..., :5, :] = soft[..., -5:, :] = soft[..., :5] = soft[..., -5:] = 0
    return torch.from_numpy(np.rint(255 * soft.clip(0, 1)).astype(np.uint8))


@pytest.mark.parametrize("level", [0.02, 0.1])
def test_awgn_is_as_wide_as_its_level_and_cut_at_three_deviations(level: float) -> None:
    noise = (shifted("awgn", level, flat(128, n=20))[:, :, 1:] - 128) / 255
    assert noise.std() == pytest.approx(level, rel=0.04)
    assert noise.mean() == pytest.approx(0, abs=0.01 * 5 * level)
    assert np.abs(noise).max() == pytest.approx(3 * level, abs=0.5 / 255 + 1e-9)


@pytest.mark.parametrize(("kind", "exponent"), [("brownian", 2), ("brownian_text", 1)])
@pytest.mark.parametrize("side", [28, 45])
def test_brownian_noise_has_its_level_at_any_size(kind: str, exponent: int, side: int) -> None:
    images = flat(128, n=150, channels=3, side=side)
    noise = (shifted(kind, 0.08, images)[:, 1:] - 128) / 255  # the first one holds other pixels
    assert noise.std() == pytest.approx(0.08, rel=0.06)
    assert noise.mean((2, 3)) == pytest.approx(0, abs=0.01)  # the mean of each channel stays
    power = np.square(np.abs(np.fft.fft2(noise))).mean((0, 1))
    assert power[0, 2] / power[0, 4] == pytest.approx(2 ** (2 * exponent), rel=0.4)
    assert power[0, 3] == pytest.approx(power[3, 0], rel=0.4)


@pytest.mark.parametrize(("kind", "axis"), [("vertical", 3), ("horizontal", 2)])
@pytest.mark.parametrize(("side", "thick"), [(32, 1), (100, 2), (224, 4)])
def test_streaks_are_black_whole_and_evenly_spread(
    kind: str, axis: int, side: int, thick: int
) -> None:
    images = torch.full((1, 3, side, side), 200, dtype=torch.uint8)
    for count in (2, 6):
        lines = np.moveaxis(shifted(kind, count, images), axis, 0).reshape(side, -1)
        black = (lines == 0).all(axis=1)
        assert ((lines == 200).all(axis=1) == ~black).all()
        assert black.sum() == count * thick
        centres = black.nonzero()[0].reshape(count, thick).mean(axis=1) + 0.5
        even = side * np.arange(1, count + 1) / (count + 1)
        assert np.abs(centres - even).max() <= 0.5
    drawn = apply_shift(Shift(f"{kind}_drawn", 3), flat(200, n=9, side=side)).numpy()
    assert len({image[..., 1:, 1:].tobytes() for image in drawn}) > 5


def test_digits_move_three_pixels_along_a_diagonal(digits: Tensor) -> None:
    ways = set()
    for image, found in zip(digits.numpy(), shifted("mnist_translate", 3, digits), strict=True):
        (way,) = [
            (y, x)
            for y in (-3, 3)
            for x in (-3, 3)
            if (np.roll(image, (y, x), (1, 2)) == found).all()
        ]
        ways.add(way)
    assert len(ways) >= 3


def test_digits_turn_shear_and_shrink_about_the_centre(digits: Tensor) -> None:
    y, x = np.mgrid[:28, :28] - 13.5

    def sampled(image: Array, rows: Array, columns: Array) -> Array:
        places = np.stack([rows, columns]) + 13.5
        return np.floor(ndimage.map_coordinates(image, places, order=1) + 1e-6)

    small = shifted("mnist_scale", 3, digits)
    assert np.abs(small[0, 0] - sampled(digits[0, 0].numpy() * 1.0, y / 0.7, x / 0.7)).max() <= 1
    signs: dict[str, set[int]] = {"rotate": set(), "shear": set()}
    for i in range(10):
        image = digits[i, 0].numpy() * 1.0
        for sign in (-1, 1):
            a = 0.4 * sign
            turned = sampled(image, y * np.cos(a) + x * np.sin(a), x * np.cos(a) - y * np.sin(a))
            slanted = sampled(image, y * np.cos(a), x - y * np.sin(a))
            for kind, expected in (("rotate", turned), ("shear", slanted)):
                found = shifted(f"mnist_{kind}", 2, digits[i : i + 1])[0, 0]
                if np.abs(found - expected).max() <= 1:
                    signs[kind].add(sign)
    assert signs == {"rotate": {-1, 1}, "shear": {-1, 1}}


def test_stripes_invert_the_outer_quarters(digits: Tensor) -> None:
    found = shifted("mnist_stripe", 1, digits)
    same = digits.numpy().astype(float)
    assert (found[..., 7:21] == same[..., 7:21]).all()
    assert (found[..., :7] == 255 - same[..., :7]).all()
    assert (found[..., 21:] == 255 - same[..., 21:]).all()


def test_lines_are_added_across_the_image() -> None:
    black = flat(0, n=30)
    dotted = shifted("mnist_dotted_line", 1, black)[:, 0]
    columns = dotted[:, 1:].max(axis=1)
    shown = np.arange(28) // 2 % 2 == 0
    assert (columns[:, ~shown] == 0).all()
    assert (columns[:, shown].max(axis=1) > 200).all()
    zigzag = shifted("mnist_zigzag", 1, black)[:, 0]
    assert (zigzag[:, 1:, :2] == 0).all()
    assert (zigzag[:, 1:, 26:] == 0).all()
    inside = [z for z in zigzag if z[1:5].max() == 0 and z[-4:].max() == 0]
    assert inside
    for one in inside:
        middle = one.argmax(axis=0)[2:26].astype(float)
        wave = middle - np.poly1d(np.polyfit(np.arange(24), middle, 1))(np.arange(24))
        assert 2 <= np.ptp(wave) <= 6
        assert (np.abs(np.diff(np.sign(wave[wave != 0]))) == 2).sum() >= 4
    grey = shifted("mnist_zigzag", 1, flat(100, n=5))
    assert grey[:, :, 1:].min() == 100


def test_edges_of_digits_are_those_of_scikit_image(digits: Tensor) -> None:
    feature = pytest.importorskip("skimage.feature", reason="needs the extra compd[study]")
    found = shifted("mnist_canny_edges", 1, digits)
    assert (found[3, 0] == 255 * feature.canny(digits[3, 0].numpy() / 255.0, sigma=1)).all()


def test_missing_scikit_image_is_one_line(
    digits: Tensor, refuses: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skimage.feature", None)
    with refuses("skimage", "pip install 'compd[study]'"):
        shifted("mnist_canny_edges", 1, digits)


def test_shared_kinds_of_mnist_have_the_larger_constants(digits: Tensor) -> None:
    impulses = shifted("mnist_impulse_noise", 4, flat(128, n=30))
    assert (impulses[:, :, 1:] != 128).mean() == pytest.approx(0.17, rel=0.05)
    shots = shifted("mnist_shot_noise", 5, flat(85, n=30))[:, :, 1:]
    assert set(np.unique(shots)) <= {0, 85, 170, 255}
    assert (shots == 0).mean() == pytest.approx(np.exp(-1), rel=0.05)
    assert (
        shifted("mnist_brightness", 5, digits)
        == (digits.double() + 127.5).clamp(0, 255).floor().numpy()
    ).all()
    fog = shifted("mnist_fog", 5, digits)
    assert fog.max() <= 255
    assert fog[..., :5, :].mean() > 40  # what was black is grey
    mud = shifted("mnist_spatter", 4, flat(0, n=30))[:, :, 1:]
    assert 50 <= mud.max() <= 63
    assert (shifted("mnist_identity", 1, digits) == digits.numpy()).all()


def test_half_of_the_pixels_of_glass_stay() -> None:
    ramp = torch.arange(28 * 28).reshape(1, 1, 28, 28) % 251
    found = shifted("mnist_glass_blur", 1, ramp.to(torch.uint8))
    blurred = ndimage.gaussian_filter(ramp[0, 0].numpy() / 255, 0.7, mode="nearest")
    assert found.shape == (1, 1, 28, 28)
    assert np.abs(found[0, 0] / 255 - blurred).mean() < 0.2


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_files_have_the_quality_of_the_level(kind: str, make_images: MakeImages) -> None:
    images = make_images(1, height=16)
    file = io.BytesIO()
    Image.fromarray(images[0].permute(1, 2, 0).numpy()).save(file, kind, quality=75)
    expected = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
    assert (shifted(kind.lower(), 75, images)[0] == expected).all()
    assert (shifted(kind.lower(), 90, images)[0] != expected).any()


def test_resizing_by_other_filters_changes_little(digits: Tensor) -> None:
    found = [shifted("resize", way, digits) for way in range(1, 7)]
    assert len({one.tobytes() for one in found}) == 6
    for one in found:
        assert 0 < np.abs(one - digits.numpy()).mean() < 12


def test_a_translation_moves_whole_pixels_one_way(digits: Tensor) -> None:
    ways = set()
    for image, found in zip(digits.numpy(), shifted("translation", 4, digits), strict=True):
        steps = [(-4, 0), (4, 0), (0, -4), (0, 4)]
        (way,) = [step for step in steps if (np.roll(image, step, (1, 2)) == found).all()]
        ways.add(way)
    assert len(ways) >= 3
    assert shifted("translation", 100, digits).shape == digits.shape


@pytest.mark.parametrize("name", list(CAMERA))
def test_the_camera_goes_to_its_most(name: str, digits: Tensor) -> None:
    most = CAMERA[name].most
    less, more = (
        np.abs(shifted(f"camera_{name}", level, digits) - digits.numpy()).mean()
        for level in (most // 2, most)
    )
    assert 0 < less < more
