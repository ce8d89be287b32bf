"""The kinds of CIFAR-10-C beside independent computations."""

from __future__ import annotations

import colorsys
import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, signal
from torch import Tensor

from compd.shifts import Shift, apply_shift
from compd.shifts.constants import LARGE, SMALL, constants
from compd.shifts.geometry import _smooth
from compd.shifts.plasma import plasma
from compd.shifts.spatter import _edges

MakeImages = Callable[..., Tensor]
Array = NDArray[np.float64]
SEVERITIES = (1, 2, 3, 4, 5)


def smooth_images(n: int = 2, side: int = 32, channels: int = 3) -> Tensor:
    """Images with structure, which use all of the range."""
    noise = np.random.default_rng(1).random((n, channels, side, side))
    soft = ndimage.gaussian_filter(noise, (0, 0, 2, 2), mode="wrap")
    soft -= soft.min((2, 3), keepdims=True)
    return torch.from_numpy(np.rint(255 * soft / soft.max((2, 3), keepdims=True)).astype(np.uint8))


def flat(level: int = 128, *, n: int = 4, channels: int = 3, side: int = 32) -> Tensor:
    return torch.full((n, channels, side, side), level, dtype=torch.uint8)


def shifted(kind: str, severity: float, images: Tensor) -> Array:
    return apply_shift(Shift(kind, severity), images).numpy().astype(float)


def cut(values: Array) -> Array:
    return np.floor(values.clip(0, 1) * 255)


def nearly_all_the_same(found: Array, expected: Array, share: float = 0.001) -> None:
    """Apart from sums that end a last bit below a whole level."""
    off = np.abs(found - expected)
    assert off.max() <= 1
    assert (off > 0).mean() <= share


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_is_as_wide_as_its_constant(severity: int) -> None:
    (c,) = SMALL["gaussian_noise"][severity - 1]
    noise = shifted("gaussian_noise", severity, flat(n=1, side=64)) - 128
    assert noise.std() / 255 == pytest.approx(c, rel=0.03)
    assert noise.mean() == pytest.approx(-0.5, abs=1.0)  # cut, not rounded
    (c,) = SMALL["shot_noise"][severity - 1]
    assert shifted("shot_noise", severity, flat(n=1, side=64)).var() / 255**2 == pytest.approx(
        128 / 255 / c, rel=0.06
    )
    (c,) = SMALL["speckle_noise"][severity - 1]
    for level in (60, 120):
        noise = shifted("speckle_noise", severity, flat(level, n=1, side=64)) - level
        assert noise.std() / level == pytest.approx(c, rel=0.05)


@pytest.mark.parametrize(("side", "table"), [(32, SMALL), (64, SMALL), (66, LARGE)])
def test_impulses_hit_their_share_of_the_values(side: int, table: dict) -> None:
    (c,) = table["impulse_noise"][4]
    found = shifted("impulse_noise", 5, flat(side=side, n=8))
    assert (found != 128).mean() == pytest.approx(c, rel=0.1)
    assert (found == 0).mean() == pytest.approx(c / 2, rel=0.15)
    assert (found == 255).mean() == pytest.approx(c / 2, rel=0.15)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_blur_is_that_of_one_plane(severity: int) -> None:
    images = smooth_images()
    found = shifted("gaussian_blur", severity, images)
    (sigma,) = SMALL["gaussian_blur"][severity - 1]
    plane = ndimage.gaussian_filter(images[1, 2].numpy() / 255, sigma, mode="nearest")
    nearly_all_the_same(found[1, 2], cut(plane))


@pytest.mark.parametrize(("side", "severity"), [(32, 3), (32, 5), (70, 2), (224, 1), (224, 5)])
def test_defocus_is_a_soft_disc(side: int, severity: int) -> None:
    images = smooth_images(1, side)
    row, scale = constants("defocus_blur", severity, side)
    radius, softness = row[0] * scale, row[1] * scale
    reach, size = (1, 8) if radius <= 8 else (2, int(radius))
    grid = np.mgrid[-size : size + 1, -size : size + 1]
    disc = (np.square(grid).sum(0) <= radius**2).astype(float)
    disc /= disc.sum()
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * softness**2))
    square = np.outer(taps, taps) / taps.sum() ** 2
    kernel = signal.convolve2d(np.pad(disc, reach, "reflect"), square, mode="valid")
    padded = np.pad(images[0, 1].numpy() / 255, size, "reflect")
    expected = cut(signal.fftconvolve(padded, kernel, mode="valid") + 1e-9)
    nearly_all_the_same(shifted("defocus_blur", severity, images)[0, 1], expected)


def published_zoom(image: Array, factor: float) -> Array:
    """(H, W)."""
    side = len(image)
    middle = math.ceil(side / factor)
    top = (side - middle) // 2
    part = ndimage.zoom(image[top : top + middle, top : top + middle], factor, order=1)
    first = (len(part) - side) // 2
    return part[first : first + side, first : first + side]


@pytest.mark.parametrize(("severity", "end"), list(enumerate((1.06, 1.11, 1.16, 1.21, 1.26), 1)))
def test_zoom_blur_is_the_mean_of_scipys_zooms(severity: int, end: float) -> None:
    images = smooth_images(1)
    image = images[0, 0].numpy() / 255
    factors = np.arange(1, end, 0.01)
    total = image + sum(published_zoom(image, factor) for factor in factors)
    found = shifted("zoom_blur", severity, images)[0, 0]
    nearly_all_the_same(found, cut(total / (len(factors) + 1)), 0.005)


def test_motion_blur_draws_out_to_one_side() -> None:
    dot = flat(0, n=1)
    dot[..., 16, 16] = 255
    found = shifted("motion_blur", 5, dot)[0, 0] / 255
    rows, columns = found.nonzero()
    assert (columns <= 16).all()  # each pixel looks forward along the streak
    assert np.abs(rows - 16).max() <= 16 - columns.min()
    weights = np.exp(-(np.arange(19) ** 2) / (2 * 2.5**2))
    assert found.max() == pytest.approx(weights[0] / weights.sum(), abs=0.005)
    assert found.sum() == pytest.approx(1, abs=0.03)
    assert found.sum(axis=0)[16] == found.max()


def test_glass_exchanges_grey_pixels_and_copies_coloured_ones() -> None:
    grey = smooth_images(1, channels=1)
    found = shifted("glass_blur", 1, grey)  # its Gaussians are too narrow to do anything
    assert (np.sort(found.ravel()) == np.sort(grey.numpy().ravel())).all()
    assert (found != grey.numpy()).mean() > 0.4
    colour = torch.arange(1024).reshape(1, 1, 32, 32) // torch.tensor([1, 4, 16])[:, None, None]
    colour = (colour % 251).to(torch.uint8)
    found = shifted("glass_blur", 1, colour)
    source = {tuple(p): divmod(i, 32) for i, p in enumerate(colour[0].flatten(1).T.tolist())}
    assert len(source) == 1024
    far = []
    for i, pixel in enumerate(found[0].reshape(3, -1).T.astype(int).tolist()):
        row, column = source[tuple(pixel)]  # each is a pixel of the image
        far.append((i // 32 - row, i % 32 - column))
    apart = np.array(far)
    assert apart.min() <= 0
    assert (apart[:32] == 0).all()  # the first row is not touched
    assert 0 < (apart != 0).any(axis=1).mean() < 1


def test_fog_takes_contrast_with_each_severity() -> None:
    images = smooth_images(8)
    own = [
        np.corrcoef(shifted("fog", s, images).ravel(), images.numpy().ravel())[0, 1]
        for s in SEVERITIES
    ]
    assert own == sorted(own, reverse=True)
    assert shifted("fog", 5, images).max() <= images.max()
    x, c = images.numpy() / 255, 0.5  # severity 2
    layer = (shifted("fog", 2, images) / 255) * (1 + c) - x  # the brightest value is 1
    assert layer.min() > -0.01
    assert layer.max() < c + 0.01
    assert np.abs(layer[:, 0] - layer[:, 1]).max() < 0.01  # one layer for all channels


def test_plasma_fills_its_range_and_is_smooth_and_periodic() -> None:
    draws = [np.random.Generator(np.random.Philox(key=key)) for key in range(3)]
    smooth = plasma(draws, 64, 3.0, (64, 64))
    rough = plasma(draws, 64, 1.2, (64, 64))
    for maps in (smooth, rough):
        assert maps.min((1, 2)) == pytest.approx(0, abs=1e-6)
        assert maps.max((1, 2)) == pytest.approx(1, abs=1e-6)
    steps = [np.abs(np.diff(maps, axis=axis)).mean() for maps in (smooth, rough) for axis in (1, 2)]
    assert max(steps[:2]) < min(steps[2:]) / 2
    wrap = np.abs(smooth[:, 0] - smooth[:, -1]).mean()
    assert wrap < 3 * steps[0]
    alone = plasma([np.random.Generator(np.random.Philox(key=1))], 64, 3.0, (20, 30))
    assert (alone[0] == smooth[1, :20, :30]).all()


def test_snow_whitens_more_with_each_severity_and_falls_down() -> None:
    images = flat(60, n=12)
    means = [shifted("snow", s, images).mean() for s in SEVERITIES]
    assert means[0] > 60
    assert means[2] > means[0]
    assert means[4] > means[2]
    flakes = shifted("snow", 2, images)[:, 0]
    assert np.abs(np.diff(flakes, axis=1)).mean() < np.abs(np.diff(flakes, axis=2)).mean()
    turned = flakes[:, ::-1, ::-1]
    assert (flakes == turned).mean() > 0.999  # the layer, and the layer turned


def test_frost_is_bluish_and_another_for_each_image() -> None:
    images = flat(0, n=6)
    images[:, 0, 0, 0] = torch.arange(6)  # other draws
    found = shifted("frost", 5, images)
    assert (found[:, 2] >= found[:, 0]).all()
    assert len({one.tobytes() for one in found[:, 2]}) == 6
    assert 0.25 * 255 * 0.45 < found.mean() < 0.8 * 255 * 0.45
    assert shifted("frost", 5, flat(0, n=1, side=300)).std() > 1


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_and_saturation_are_those_of_hsv(severity: int, make_images: MakeImages) -> None:
    images = make_images(1, height=10)
    images[0, :, 0, :4] = torch.tensor([[0, 255, 7, 9], [0, 255, 7, 9], [0, 255, 7, 0]])
    (c,), (a, b) = SMALL["brightness"][severity - 1], SMALL["saturate"][severity - 1]
    found = {kind: shifted(kind, severity, images)[0] for kind in ("brightness", "saturate")}
    expected = {kind: np.empty((3, 10, 10)) for kind in found}
    for y, x in np.ndindex(10, 10):
        h, s, v = colorsys.rgb_to_hsv(*(images[0, :, y, x] / 255).tolist())
        expected["brightness"][:, y, x] = colorsys.hsv_to_rgb(h, s, min(v + c, 1))
        expected["saturate"][:, y, x] = colorsys.hsv_to_rgb(h, min(max(a * s + b, 0), 1), v)
    for kind in found:
        nearly_all_the_same(found[kind], cut(expected[kind]), 0.05)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_keeps_each_channels_mean(severity: int, make_images: MakeImages) -> None:
    images = make_images(2, height=16)
    (c,) = SMALL["contrast"][severity - 1]
    x = images.double() / 255
    mean = x.mean((2, 3), keepdim=True)
    nearly_all_the_same(shifted("contrast", severity, images), cut(((x - mean) * c + mean).numpy()))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_files_and_boxes_are_pillows(severity: int, make_images: MakeImages) -> None:
    images = make_images(1)
    picture = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(SMALL["jpeg_compression"][severity - 1][0]))
    expected = np.asarray(Image.open(file)).transpose(2, 0, 1)
    assert (shifted("jpeg_compression", severity, images)[0] == expected).all()
    small = int(8 * SMALL["pixelate"][severity - 1][0])
    box = picture.resize((small, small), Image.Resampling.BOX).resize((8, 8), Image.Resampling.BOX)
    assert (shifted("pixelate", severity, images)[0] == np.asarray(box).transpose(2, 0, 1)).all()


def test_elastic_displacements_are_smoothed_by_a_gaussian() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 30, 41))
    for sigma in (0.8, 5.0, 100.0):  # the last one is wider than the image
        expected = [
            ndimage.gaussian_filter(one, sigma, mode="reflect", truncate=3) for one in noise
        ]
        assert _smooth(noise, sigma) == pytest.approx(np.array(expected), abs=1e-9)


def test_elastic_moves_three_points_by_up_to_its_reach() -> None:
    rows = torch.arange(32).expand(1, 1, 32, 32).transpose(2, 3)
    ramp = (60 + 4 * rows).to(torch.uint8).repeat(40, 1, 1, 1)
    ramp[:, 0, 0, 0] = torch.arange(40)  # other draws
    found = shifted("elastic_transform", 1, ramp)  # an affine map alone
    inner = found[:, 0, 12:20, 12:20]
    assert np.abs(np.diff(inner, 2, axis=1)).max() <= 1.01  # still a plane
    moves = (inner - ramp.numpy()[:, 0, 12:20, 12:20]) / 4
    assert np.abs(moves).max() < 32 * 0.08 * 3
    assert 0.5 < moves.std() < 32 * 0.08
    bent = shifted("elastic_transform", 5, ramp)[:, 0, 8:24, 8:24]
    assert np.abs(np.diff(bent, 2, axis=1)).max() > 2


def test_water_brightens_and_mud_covers() -> None:
    images = flat(60, n=20)
    images[:, 0, 0, 0] = torch.arange(20)
    water = shifted("spatter", 3, images)[:, :, 1:] - 60
    assert water.min() >= 0
    assert 0.02 < (water > 0).mean() < 0.6
    assert water.max() == pytest.approx(238 * 0.5, abs=2)  # where there is most of it
    assert (water[:, 1] == water[:, 2]).all()
    assert (water[:, 0] <= water[:, 1]).all()
    mud = shifted("spatter", 5, images)[:, :, 1:]
    covered = mud.min((1,)) < 59
    assert 0.01 < covered.mean() < 0.5
    assert mud[:, 2].min() == pytest.approx(20 + 0 * 60, abs=9)
    grey = shifted("spatter", 5, flat(200, n=20, channels=1))
    assert grey.min() == pytest.approx(63, abs=30)


def test_edges_of_water_are_one_pixel_wide_and_around_it() -> None:
    layer = np.zeros((20, 20))
    layer[5:15, 5:15] = 200
    edges = _edges(layer)
    assert edges[:4].sum() == edges[7:13, 7:13].sum() == 0
    assert 30 <= edges.sum() <= 44
    assert not _edges(np.full((20, 20), 77.0)).any()


@pytest.mark.parametrize(
    "kind",
    [
        *["gaussian_blur", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"],
        *["contrast", "elastic_transform", "pixelate"],
    ],
)
@pytest.mark.parametrize("side", [8, 32, 100])
def test_one_colour_stays_it(kind: str, side: int) -> None:
    for level in (0, 77, 255):
        images = flat(level, n=1, side=side)
        for severity in (1, 5):
            assert (shifted(kind, severity, images) == level).all()


def test_lengths_scale_with_the_side() -> None:
    assert constants("gaussian_blur", 5, 64) == ((1,), 2)
    assert constants("gaussian_blur", 5, 224) == ((6,), 1)
    assert constants("fog", 1, 65)[0] == (1.5, 2)
    dot = flat(0, n=1, side=64)
    dot[..., 32, 32] = 255
    found = shifted("gaussian_blur", 5, dot)[0, 0]
    assert found[32, 34] / found[32, 32] == pytest.approx(math.exp(-0.5), abs=0.06)
