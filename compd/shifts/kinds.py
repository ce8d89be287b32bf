"""The table of kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from compd.registry import Plugins
from compd.shifts import blurs, codecs, colours, geometry, noise, strokes, weather
from compd.shifts.base import Batch, Draws, Kind, Pixels, Values, cut
from compd.shifts.camera import CAMERA, changed
from compd.shifts.constants import DIGITS, LARGE, Row, constants
from compd.shifts.spatter import spatter

__all__ = ["SHIFTS"]

Function: TypeAlias = Callable[[Values, Draws, Row, float], Values]

_COLOUR = (3,)
_DIGITS_SIDE = 28


def _photo(name: str, function: Function, about: str, *, random: bool = False) -> Kind:
    """A kind of CIFAR-10-C."""

    def apply(batch: Batch) -> Pixels:
        row, scale = constants(name, int(batch.level), batch.side)
        return cut(function(batch.values, batch.draws, row, scale))

    channels = _COLOUR if name == "saturate" else (1, 3)
    return Kind(apply, about, ("cifar10-c",), channels=channels, random=random)


def _frost() -> Kind:
    def apply(batch: Batch) -> Pixels:
        row, scale = constants("frost", int(batch.level), batch.side)
        return cut(weather.frost(batch.values, batch.draws, row, scale, batch.frost))

    return Kind(apply, "mixes in a piece of a photograph of frost", ("cifar10-c",))


def _digit(
    name: str,
    function: Function,
    about: str,
    level: int = 1,
    *,
    random: bool = True,
    package: str = "",
) -> Kind:
    """A kind of MNIST-C, whose level is the severity that the published set has."""
    rows = LARGE.get(name) or DIGITS.get(name) or ((),)

    def apply(batch: Batch) -> Pixels:
        row = rows[int(batch.level) - 1]
        return cut(function(batch.values, batch.draws, row, batch.side / _DIGITS_SIDE))

    limits = (1, len(rows)) if len(rows) > 1 else None
    return Kind(apply, about, ("mnist-c",), (level,), limits=limits, random=random, package=package)


def _same(batch: Batch) -> Pixels:
    return batch.pixels.copy()


_PHOTOS: Mapping[str, Kind] = {
    "gaussian_noise": _photo(
        "gaussian_noise", noise.gaussian_noise, "adds normal noise", random=True
    ),
    "shot_noise": _photo("shot_noise", noise.shot_noise, "counts photons", random=True),
    "impulse_noise": _photo(
        "impulse_noise", noise.impulse_noise, "sets some values to black or white", random=True
    ),
    "defocus_blur": _photo("defocus_blur", blurs.defocus_blur, "spreads each pixel over a disc"),
    "glass_blur": _photo(
        "glass_blur", blurs.glass_blur, "exchanges pixels with near ones", random=True
    ),
    "motion_blur": _photo(
        "motion_blur", blurs.motion_blur, "draws each pixel out to one side", random=True
    ),
    "zoom_blur": _photo("zoom_blur", blurs.zoom_blur, "averages zooms towards the centre"),
    "snow": _photo("snow", weather.snow, "whitens, and adds streaks of flakes", random=True),
    "frost": _frost(),
    "fog": _photo("fog", weather.fog, "adds plasma, and loses contrast", random=True),
    "brightness": _photo("brightness", colours.brightness, "adds to the value of HSV"),
    "contrast": _photo("contrast", colours.contrast, "draws values to each channel's mean"),
    "elastic_transform": _photo(
        "elastic_transform", geometry.elastic_transform, "bends smoothly", random=True
    ),
    "pixelate": _photo("pixelate", codecs.pixelate, "shrinks and enlarges by boxes"),
    "jpeg_compression": _photo("jpeg_compression", codecs.jpeg_compression, "a JPEG file"),
    "speckle_noise": _photo(
        "speckle_noise", noise.speckle_noise, "scales values by normal noise", random=True
    ),
    "gaussian_blur": _photo("gaussian_blur", blurs.gaussian_blur, "blurs by a Gaussian"),
    "spatter": _photo("spatter", spatter, "drops of water, or mud", random=True),
    "saturate": _photo("saturate", colours.saturate, "scales the saturation of HSV"),
}

_DIGITS: Mapping[str, Kind] = {
    "mnist_identity": Kind(_same, "changes nothing", ("mnist-c",), (1,), random=False),
    "mnist_shot_noise": _digit("shot_noise", noise.shot_noise, "counts photons", 5),
    "mnist_impulse_noise": _digit(
        "impulse_noise", noise.impulse_noise, "sets some values to black or white", 4
    ),
    "mnist_glass_blur": _digit(
        "glass_blur",
        partial(blurs.glass_blur, share=0.5),
        "exchanges half of the pixels with near ones",
    ),
    "mnist_motion_blur": _digit(
        "motion_blur", blurs.motion_blur, "draws each pixel out to one side"
    ),
    "mnist_shear": _digit("shear", geometry.shear, "shears to either side", 2),
    "mnist_scale": _digit(
        "scale", geometry.scale_down, "shrinks about the centre", 3, random=False
    ),
    "mnist_rotate": _digit("rotate", geometry.rotate, "turns either way", 2),
    "mnist_brightness": _digit("brightness", colours.brightness, "adds to values", 5, random=False),
    "mnist_translate": _digit("translate", geometry.translate, "moves along a diagonal", 3),
    "mnist_stripe": _digit("stripe", strokes.stripe, "inverts the outer quarters", random=False),
    "mnist_fog": _digit("fog", partial(weather.fog, least_map=256), "adds plasma", 5),
    "mnist_spatter": _digit("spatter", spatter, "mud", 4),
    "mnist_dotted_line": _digit("dotted_line", strokes.dotted_line, "adds a dotted line"),
    "mnist_zigzag": _digit("zigzag", strokes.zigzag, "adds a zigzag"),
    "mnist_canny_edges": _digit(
        "canny_edges",
        strokes.canny_edges,
        "leaves edges alone",
        random=False,
        package=strokes.CANNY,
    ),
}


def _streaks(*, vertical: bool, drawn: bool = False) -> Kind:
    way = "top to bottom" if vertical else "left to right"
    return Kind(
        partial(strokes.streaks, vertical=vertical, drawn=drawn),
        f"black streaks from {way}" + (", anywhere" if drawn else ", evenly spread"),
        () if drawn else ("noise",),
        (2, 3, 4, 5, 6),
        unit="streaks",
        limits=(1, 100),
        random=drawn,
    )


_DEVIATIONS = (0.11, 0.22, 0.33, 0.44, 0.55, 0.66, 0.77, 0.88)


def _brownian(groups: tuple[str, ...], exponent: int) -> Kind:
    return Kind(
        partial(noise.brownian, exponent=exponent),
        f"adds noise whose amplitudes fall with the frequency to the power {exponent}",
        groups,
        _DEVIATIONS,
        unit="deviation of the noise, of 0..1",
        limits=(0, 10),
        whole=False,
    )


_NOISE: Mapping[str, Kind] = {
    "awgn": Kind(
        noise.awgn,
        "adds normal noise, cut at three deviations",
        ("noise",),
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
        unit="deviation of the noise, of 0..1",
        limits=(0, 10),
        whole=False,
    ),
    "brownian": _brownian(("noise",), 2),
    "vertical": _streaks(vertical=True),
    "horizontal": _streaks(vertical=False),
    # what the study's text leaves open; by name only
    "brownian_text": _brownian((), 1),
    "vertical_drawn": _streaks(vertical=True, drawn=True),
    "horizontal_drawn": _streaks(vertical=False, drawn=True),
}


def _codec(function: Callable[[Batch], Pixels], what: str) -> Kind:
    return Kind(
        function,
        f"a {what} file",
        ("pipeline",),
        (90, 75, 50),
        unit="quality",
        limits=(1, 100),
        random=False,
    )


_PIPELINE: Mapping[str, Kind] = {
    "jpeg": _codec(codecs.jpeg, "JPEG"),
    "webp": _codec(codecs.webp, "lossy WebP"),
    "resize": Kind(
        codecs.resized,
        "enlarges to 8/7, and brings back by "
        + ", ".join(f"{i} {way}" for i, way in enumerate(codecs.RESIZES, 1)),
        ("pipeline",),
        tuple(range(1, len(codecs.RESIZES) + 1)),
        unit="way",
        random=False,
    ),
    "translation": Kind(
        geometry.moved,
        "moves by whole pixels, up, down, left or right",
        ("pipeline",),
        (1, 2, 4),
        unit="pixels",
        limits=(1, 1000),
    ),
}


def _camera(name: str) -> Kind:
    change = CAMERA[name]
    amounts = (-change.most, change.most) if change.signed else (change.most // 2, change.most)
    return Kind(
        lambda batch: changed(batch, change),
        (change.apply.__doc__ or "").rstrip(".").lower(),
        ("camera",),
        amounts,
        unit=change.unit,
        limits=(-change.limit if change.signed else 1, change.limit),
        random=change.detailed,
    )


SHIFTS = Plugins(
    "shift",
    {
        **_PHOTOS,
        **_DIGITS,
        **_NOISE,
        **_PIPELINE,
        **{f"camera_{name}": _camera(name) for name in CAMERA},
    },
    kind=Kind,
    group="compd.shifts",
)
