"""How images become a file's input: against torch on floats, exactly on integers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compd.runtimes.formats import InputFormat, Overrides, QParams, image_shape, range_of
from compd.sizes import Size

Refuses = Callable[..., Any]

IMAGES = torch.randint(
    0, 256, (5, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def form(**changes: object) -> InputFormat:
    return InputFormat(channels=3, height=4, width=4, classes=3, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("pixels", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_floats(layout: str, bgr: bool, pixels: tuple[float, float]) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    got = form(layout=layout, bgr=bgr, range=pixels, mean=mean, std=std).encode(IMAGES)
    x = IMAGES.float() / 255 * (pixels[1] - pixels[0]) + pixels[0]
    x = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    x = x.flip(1) if bgr else x
    want = x.permute(0, 2, 3, 1) if layout == "NHWC" else x
    assert got.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(got, want.numpy(), atol=1e-4 * (pixels[1] - pixels[0]))


@given(
    st.sampled_from(["uint8", "int8"]),
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]),
    st.floats(1e-4, 3.0),
    st.integers(-128, 127),
)
def test_integers_are_the_nearest(
    dtype: str, pixels: tuple[float, float], scale: float, zero: int
) -> None:
    ends = (0, 255) if dtype == "uint8" else (-128, 127)
    zero += 128 if dtype == "uint8" else 0
    got = form(dtype=dtype, qparams=QParams(scale, zero), range=pixels).encode(IMAGES)
    assert got.dtype == dtype
    real = IMAGES.numpy() / 255.0 * (pixels[1] - pixels[0]) + pixels[0]
    stands_for = (got.astype(float) - zero) * scale
    reach = [(end - zero) * scale for end in ends]
    nearest = np.clip(real, *reach)
    assert np.abs(stands_for - nearest).max() <= scale * 0.5001 + 1e-4


@pytest.mark.parametrize(
    ("dtype", "qparams", "low"),
    [
        ("uint8", None, 0),
        ("uint8", QParams(1 / 255, 0), 0),
        ("int8", QParams(1 / 255, -128), -128),
        ("int8", None, -128),
        ("uint8", QParams(2 / 255, 128), 0),
    ],
)
def test_integers_that_are_the_levels(dtype: str, qparams: QParams | None, low: int) -> None:
    """The usual 8-bit inputs lose nothing: each level has an integer of its own."""
    got = form(dtype=dtype, qparams=qparams, range=range_of(dtype, qparams)).encode(IMAGES)
    apart = np.abs(got.astype(int) - low - IMAGES.numpy())
    assert apart.max() <= (1 if qparams == QParams(2 / 255, 128) else 0)


def test_probabilities_become_logits() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    logits = form(output="probs").decode(p.numpy())
    torch.testing.assert_close(logits.softmax(1), p)
    assert torch.isfinite(logits).all()


def test_output_grid() -> None:
    q = np.array([[-128, 0, 127]], np.int8)
    logits = form(output_qparams=QParams(0.5, -3)).decode(q)
    assert logits.tolist() == [[-62.5, 1.5, 65.0]]


@pytest.mark.parametrize(
    ("shape", "layout", "size", "want"),
    [
        ((None, 3, 8, 8), None, None, ("NCHW", 3, 8, 8)),
        ((1, 8, 8, 3), None, None, ("NHWC", 3, 8, 8)),
        ((None, 3, None, None), None, Size(32, 48), ("NCHW", 3, 32, 48)),
        ((None, None, None, 1), None, Size(28, 28), ("NHWC", 1, 28, 28)),
        ((None, 3, 96, None), None, Size(32, 192), ("NCHW", 3, 96, 192)),
        ((1, 96, 192, 1), None, None, ("NHWC", 1, 96, 192)),
        ((1, 3, 3, 3), "NHWC", None, ("NHWC", 3, 3, 3)),
    ],
)
def test_shapes_that_tell(
    shape: tuple[int | None, ...], layout: str | None, size: Size | None, want: tuple[str, int]
) -> None:
    assert image_shape(shape, layout, size, "file") == want


@pytest.mark.parametrize(
    ("shape", "layout", "culprits"),
    [
        ((1, 3, 3, 3), None, ("--layout", "(1, 3, 3, 3)")),
        ((1, 8, 8, 8), None, ("--layout",)),
        ((1, 10), None, ("four dimensions", "(1, 10)")),
        ((None, 3, None, None), None, ("--size", "(?, 3, ?, ?)")),
        ((1, 3, 8, 8), "NHWC", ("--layout",)),
    ],
)
def test_shapes_that_do_not(
    refuses: Refuses, shape: tuple[int | None, ...], layout: str | None, culprits: tuple[str, ...]
) -> None:
    with refuses(*culprits, "file"):
        image_shape(shape, layout, None, "file")


def test_wishes() -> None:
    file, user = (
        Overrides(layout="NHWC", range=(0.0, 255.0)),
        Overrides(range=(0.0, 1.0), bgr=True),
    )
    assert user.over(file) == Overrides(layout="NHWC", range=(0.0, 1.0), bgr=True)
    assert Overrides().over(file) == file


@pytest.mark.parametrize(
    ("wrong", "culprit"),
    [
        ({"layout": "CHWN"}, "CHWN"),
        ({"output": "labels"}, "labels"),
        ({"range": (1.0, 1.0)}, "range"),
        ({"std": (0.0,)}, "std"),
    ],
)
def test_wrong_wishes(refuses: Refuses, wrong: dict[str, object], culprit: str) -> None:
    with refuses("expected", culprit):
        Overrides(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "culprit"),
    [
        ({"mean": (0.5, 0.5)}, "mean"),
        ({"dtype": "bool"}, "bool"),
        ({"dtype": "string"}, "string"),
    ],
)
def test_wrong_formats(refuses: Refuses, wrong: dict[str, object], culprit: str) -> None:
    with refuses("expected", culprit):
        form(**wrong)
