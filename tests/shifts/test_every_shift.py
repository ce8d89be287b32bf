"""What holds for every kind: the lattice, and one draw per image."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import compd
from compd.errors import SettingError
from compd.images import pixel_hash
from compd.shifts import SHIFTS, Batch, Kind, Shift, apply_shift, groups, parse_shifts
from compd.shifts.constants import DIGITS, LARGE, SMALL

MakeImages = Callable[..., Tensor]
KINDS = list(SHIFTS)
SEED = st.integers(0, 2**64 - 1)


def needs_of(name: str) -> None:
    if name == "mnist_canny_edges":
        pytest.importorskip("skimage", reason="needs the extra compd[study]")


@st.composite
def cases(draw: st.DrawFn, name: str) -> tuple[Shift, Tensor, int]:
    kind = SHIFTS[name]
    shift = Shift(name, draw(st.sampled_from(kind.levels)))
    shape = (3, draw(st.sampled_from(kind.channels)), *draw(st.tuples(*2 * [st.integers(8, 64)])))
    pixels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape, np.uint8)
    if draw(st.booleans()):
        pixels[0] = pixels[0, :, :1, :1]  # one colour
    return shift, torch.from_numpy(pixels), draw(SEED)


@pytest.mark.parametrize("name", KINDS)
def test_each_image_gets_the_same_bytes_in_any_batch(name: str) -> None:
    needs_of(name)

    @settings(max_examples=4)
    @given(cases(name))
    def check(case: tuple[Shift, Tensor, int]) -> None:
        shift, images, seed = case
        before = images.clone()
        together = apply_shift(shift, images, random_seed=seed)
        assert torch.equal(images, before)
        assert together.dtype == torch.uint8
        assert together.shape == images.shape
        assert together.data_ptr() != images.data_ptr()
        for i in range(len(images)):
            alone = apply_shift(shift, images[i : i + 1], random_seed=seed)
            assert torch.equal(alone[0], together[i])
        hashes = [pixel_hash(image) for image in images.flip(0)]
        back = apply_shift(shift, images.flip(0), random_seed=seed, hashes=hashes)
        assert torch.equal(back.flip(0), together)

    check()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [(65, 80), (256, 200)])
def test_larger_images_have_the_constants_of_larger_ones(
    name: str, size: tuple[int, int], make_images: MakeImages
) -> None:
    needs_of(name)
    if size[0] > 100 and name not in groups()["cifar10-c"]:
        return
    kind = SHIFTS[name]
    height, width = size
    images = make_images(1, channels=kind.channels[-1], height=height, width=width)
    shift = Shift(name, kind.levels[-1])
    once = apply_shift(shift, images)
    assert once.shape == images.shape
    assert torch.equal(apply_shift(shift, images), once)
    assert torch.equal(once, images) == (name == "mnist_identity")


def test_layouts_threads_and_groups_of_a_batch_change_nothing(make_images: MakeImages) -> None:
    images = make_images(200, height=32)  # more than are worked on together
    shifts = parse_shifts("cifar10-c,noise", severities=(3,))
    expected = [apply_shift(shift, images[150:151]) for shift in shifts]
    strided = images.to(memory_format=torch.channels_last)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda shift: apply_shift(shift, strided[140:]), shifts))
    for shift, alone, many in zip(shifts, expected, found, strict=True):
        assert torch.equal(many[10:11], alone), shift
    whole = apply_shift(Shift("motion_blur", 3), images)
    assert torch.equal(whole[150:151], apply_shift(Shift("motion_blur", 3), images[150:151]))


@pytest.mark.parametrize("name", KINDS)
def test_draws_depend_on_seed_image_and_level(name: str, make_images: MakeImages) -> None:
    kind = SHIFTS[name]
    needs_of(name)
    images = make_images(6, channels=kind.channels[-1], height=28)
    shift = Shift(name, kind.levels[-1])
    first, second = (apply_shift(shift, images, random_seed=seed) for seed in (1, 2))
    assert torch.equal(first, second) != kind.random
    assert torch.equal(apply_shift(Shift(name, 0), images), images)


def test_noise_is_another_at_each_level_and_of_each_image() -> None:
    flat = torch.full((2, 1, 32, 32), 128, dtype=torch.uint8)
    flat[1, 0, 0, 0] = 127
    one, other = apply_shift(Shift("awgn", 0.05), flat).double() - flat.double()
    assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 0.15
    level = apply_shift(Shift("awgn", 0.06), flat)[0].double() - 128
    assert abs(np.corrcoef(one.flatten(), level.flatten())[0, 1]) < 0.15


def test_the_groups_are_whole_and_every_table_has_five_rows() -> None:
    found = groups()
    assert {name: len(kinds) for name, kinds in found.items()} == {
        "cifar10-c": 19,
        "mnist-c": 16,
        "noise": 4,
        "pipeline": 4,
        "camera": 6,
    }
    assert set(SMALL) == set(LARGE) == set(found["cifar10-c"])
    for name, rows in [*SMALL.items(), *LARGE.items(), *DIGITS.items()]:
        assert len(rows) == 5, name
        assert len({len(row) for row in rows}) == 1, name
        assert all(len(row) == len(LARGE.get(name, rows)[0]) for row in rows), name
    assert all(SHIFTS[name].levels == (1, 2, 3, 4, 5) for name in found["cifar10-c"])
    assert all(len(SHIFTS[name].levels) == 1 for name in found["mnist-c"])
    for name, kind in SHIFTS.items():
        assert kind.about, name
        assert "\n" not in kind.about, name


def test_images_that_are_none_are_refused(make_images: MakeImages, refuses: Callable) -> None:
    with refuses("shift", "fgo", "did you mean 'fog'"):
        apply_shift(Shift("fgo", 1), make_images())
    with refuses("severity 1, 2, 3, 4, 5 for fog", "severity=6"):
        apply_shift(Shift("fog", 6), make_images())
    with refuses("float32"):
        apply_shift(Shift("fog", 1), make_images().float())
    with refuses("at least 8 pixels", "7x9"):
        apply_shift(Shift("fog", 1), make_images(height=7, width=9))
    with refuses("RGB", "saturate", "grey"):
        apply_shift(Shift("saturate", 1), make_images(channels=1))
    with refuses("hashes=1", "images=2"):
        apply_shift(Shift("fog", 1), make_images(2), hashes=["0" * 64])
    assert apply_shift(Shift("fog", 1), make_images(0)).shape == (0, 3, 8, 8)


def test_a_kind_of_your_own(
    make_images: MakeImages, refuses: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SHIFTS, "_entries", dict(SHIFTS._entries))

    def negative(batch: Batch) -> np.ndarray:
        return 255 - batch.pixels

    def halved(batch: Batch) -> np.ndarray:
        return batch.pixels / 2

    compd.register("shift", "negative", Kind(negative, "inverts", ("mine",), (1,), random=False))
    compd.register("shift", "halved", Kind(halved, "darkens", ("mine",), (1,), random=False))
    images = make_images()
    assert parse_shifts("mine") == (Shift("negative", 1), Shift("halved", 1))
    assert torch.equal(apply_shift(Shift("negative", 1), images), 255 - images)
    with refuses("uint8", "'halved'", "float64"):
        apply_shift(Shift("halved", 1), images)
    with refuses("levels"):
        Kind(negative, "", (), ())
    with refuses("shift of a new name", "'fog'"):
        compd.register("shift", "fog", SHIFTS["snow"])
    with pytest.raises(SettingError):
        compd.register("shift", "other", negative)
