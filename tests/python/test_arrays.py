"""Images as people have them: what is plain is taken, the rest told in one line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CLASSES, SIZE, tiny_original, tiny_pair, tiny_splits
from torch import Tensor

import compd
from compd.compress import Ptq
from compd.pair.arrays import arranged, lattice
from compd.pair.images import as_split

Refuses = Callable[..., AbstractContextManager[None]]

SHAPE = (3, SIZE, SIZE)
IMAGES = tiny_splits().seeds.images[:5]
GREY = IMAGES[:, :1]
LAST = IMAGES.permute(0, 2, 3, 1)
READ_ONLY = LAST.numpy().copy()
READ_ONLY.setflags(write=False)


class Other:
    """An array of another library."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return IMAGES.numpy()


def pictures(images: Tensor = IMAGES) -> list[Image.Image]:
    arrays = [image.permute(1, 2, 0).numpy() for image in images]
    return [Image.fromarray(one[..., 0] if one.shape[2] == 1 else one) for one in arrays]


PLAIN = {
    "uint8": IMAGES,
    "int64": IMAGES.long(),
    "floats 0..1": IMAGES.float() / 255,
    "doubles 0..1": IMAGES.double() / 255,
    "half floats 0..1": (IMAGES.float() / 255).half(),
    "floats 0..255": IMAGES.float(),
    "channels last": LAST,
    "floats, channels last": LAST.float() / 255,
    "not contiguous": IMAGES.flip(0).flip(0).transpose(2, 3).contiguous().transpose(2, 3),
    "with a gradient": (IMAGES.float() / 255).requires_grad_(),
    "numpy": IMAGES.numpy(),
    "numpy, channels last": LAST.numpy(),
    "numpy, read only": READ_ONLY,
    "numpy, mirrored view": LAST.numpy()[:, ::-1][:, ::-1],
    "numpy uint16": IMAGES.numpy().astype(np.uint16),
    "numpy float64": IMAGES.numpy() / 255,
    "another library's": Other(),
    "list of tensors": list(IMAGES),
    "tuple of tensors": tuple(IMAGES),
    "list of arrays": list(LAST.numpy()),
    "pictures": pictures(),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_what_is_plain_is_taken(kind: str) -> None:
    for shape in (SHAPE, (0, 0, 0)):
        taken = lattice(PLAIN[kind], shape)
        assert taken.dtype == torch.uint8
        assert torch.equal(taken, IMAGES)
    split = as_split(PLAIN[kind], tiny_pair())  # type: ignore[arg-type]
    assert torch.equal(split.images, IMAGES)
    assert split.row(2) == "images[2]"


@pytest.mark.parametrize(
    "one", [IMAGES[0], LAST[0], LAST[0].numpy(), pictures()[0], IMAGES[0].float() / 255]
)
def test_one_image_is_a_batch(one: Any) -> None:
    assert torch.equal(lattice(one, SHAPE), IMAGES[:1])
    assert torch.equal(lattice(one, (0, 0, 0)), IMAGES[:1])


@pytest.mark.parametrize("grey", [GREY, GREY[:, 0], GREY.numpy()[:, 0], pictures(GREY)])
def test_grey_images_need_no_channel(grey: Any) -> None:
    assert torch.equal(lattice(grey, (1, SIZE, SIZE)), GREY)
    assert torch.equal(lattice(pictures(GREY)[0], (0, 0, 0)), GREY[:1])
    assert torch.equal(lattice(GREY[0, 0], (1, SIZE, SIZE)), GREY[:1])


def test_pictures_get_the_channels_of_the_pair() -> None:
    assert torch.equal(lattice(pictures(GREY), SHAPE), GREY.expand(-1, 3, -1, -1))


def test_the_shape_of_the_pair_decides_between_orders() -> None:
    odd = torch.zeros(2, 3, 5, 3, dtype=torch.uint8)
    assert lattice(odd, (3, 5, 3)).shape == (2, 3, 5, 3)
    assert lattice(odd, (3, 3, 5)).shape == (2, 3, 3, 5)
    assert lattice(odd, (0, 0, 0)).shape == (2, 3, 5, 3)  # as documented: channels first
    assert arranged(torch.zeros(3, 7, 3)).shape == (3, 7, 3)  # one image, or three grey ones?


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ((IMAGES.float() / 255 - 0.5) / 0.25, ("normalised", "--mean", "--std")),
        (torch.rand(2, *SHAPE), ("lattice", "(images * 255).round().to(torch.uint8)")),
        (torch.rand(2, *SHAPE) * 255, ("lattice", "images.round().to(torch.uint8)")),
        (IMAGES.float() * 2, ("levels 0..255", "torch.float32 in")),
        (IMAGES.long() * 257, ("levels 0..255", "8 bits")),
        (IMAGES.short() - 300, ("levels 0..255", "torch.int16 in")),
        (torch.full((1, *SHAPE), float("nan")), ("not finite",)),
        (IMAGES > 100, ("torch.bool",)),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), ("C 1 or 3", "(2, 4, 8, 8)")),
        (torch.zeros(8, 8, dtype=torch.uint8), ("(N, C, H, W)", "(8, 8)")),
        ([], ("at least one image",)),
        (IMAGES[:0], ("at least one image",)),
        (IMAGES[:0].float(), ("at least one image",)),
        (["a.png", "b.png"], ("list with str", "PIL.Image.open")),
        ([[1, 2], [3, 4]], ("list with list",)),
        ([IMAGES[0], IMAGES[0, :, :8]], ("one shape", "(3, 8, 16)", "(3, 16, 16)")),
        ([IMAGES[0], IMAGES[0].float()], ("one shape and type", "torch.float32")),
        (np.array(["a", "b"]), ("array of <U1",)),
        ((image for image in IMAGES), ("generator", "torch.stack")),
        (None, ("NoneType",)),
        (7, ("got int",)),
        (Image.new("RGBA", (SIZE, SIZE)), ("opaque", "flatten")),
        (Image.new("I;16", (SIZE, SIZE)), ("8 bits a channel",)),
        (torch.zeros(2, 3, 9, 9, dtype=torch.uint8), ("(N, 3, 16, 16)", "(2, 3, 9, 9)", "scale")),
        (np.zeros((2, 9, 9, 3), np.uint8), ("(N, 3, 16, 16)", "(2, 3, 9, 9)", "scale")),
        (GREY, ("(N, 3, 16, 16)", "(5, 1, 16, 16)", "expand(-1, 3, -1, -1)")),
    ],
)
def test_what_is_not_plain_is_told(images: Any, said: tuple[str, ...], refuses: Refuses) -> None:
    for call in (compd.fuzz, compd.check, compd.evaluate):
        with refuses(*said):
            call(tiny_pair(), images)  # type: ignore[operator]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_images_on_a_gpu_are_taken() -> None:
    assert torch.equal(lattice(IMAGES.cuda(), SHAPE), IMAGES)


def test_a_search_finds_the_same_in_any_form() -> None:
    def found(images: Any) -> list[str]:
        pair = tiny_pair(Ptq(weight_bits=4))
        return [one.sha256 for one in compd.fuzz(pair, images, eps=16)]

    hashes = found(IMAGES)
    assert len(hashes) > 2
    assert found(LAST.numpy() / 255) == hashes
    assert found(pictures()) == hashes


def test_a_folder_may_be_a_path(tmp_path: Path, make_folder: Callable[..., Path]) -> None:
    folder = make_folder(tmp_path / "data", CLASSES, each=12, height=SIZE)
    pair = tiny_pair()
    assert len(as_split(folder, pair)) == len(as_split(str(folder), pair)) > 0


def test_an_example_comes_in_any_form() -> None:
    for example in (IMAGES[:2], IMAGES[0], LAST.numpy(), pictures(), IMAGES.float() / 255):
        pair = compd.Pair.from_modules(tiny_original(), tiny_original(), example=example)
        assert pair.spec.model.shape == SHAPE


@pytest.mark.parametrize("labels", [[0, 1, 2, 1, -1], np.array([0, 1, 2, 1, -1], np.int32)])
def test_labels_are_whole_numbers_of_any_kind(labels: Any) -> None:
    split = as_split(IMAGES, tiny_pair(), labels)
    assert split.labels.dtype == torch.int64
    assert split.labels.tolist() == [0, 1, 2, 1, -1]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1], ("one label an image", "(2,)")),
        ([0, 1, 2, 1, 3], ("0..2", "0..3")),
        ([0.0, 1, 2, 1, 1], ("whole numbers", "float")),
        (["red"] * 5, ("whole numbers", "list")),
        (torch.eye(5, 3), ("one label an image", "(5, 3)")),
    ],
)
def test_other_labels_are_told(labels: Any, said: tuple[str, ...], refuses: Refuses) -> None:
    with refuses(*said):
        compd.evaluate(tiny_pair(), IMAGES, labels=labels)


def test_arguments_in_each_others_place_are_told(tmp_path: Path, refuses: Refuses) -> None:
    pair: Any = tiny_pair()
    corpus: Any = compd.Corpus(tmp_path / "found", create=True)
    folder: Any = str(tmp_path / "found")
    calls: list[tuple[Callable[[], Any], tuple[str, ...]]] = [
        (lambda: compd.fuzz(IMAGES, pair), ("pair as a Pair", "torch.Tensor", "from_modules")),
        (lambda: compd.evaluate(tiny_original(), IMAGES), ("pair as a Pair", "Classifier")),
        (lambda: compd.verify(folder, pair), ("got str", f"compd.Corpus({folder!r})")),
        (lambda: compd.verify(pair, corpus), ("pair as a Pair", "got compd.corpus.store.Corpus")),
        (lambda: compd.minimise(corpus, folder, pair), ("target as a Corpus", "got str")),
        (lambda: compd.gate(corpus, pair, {}), ("pair as a Pair",)),
        (lambda: compd.repair(corpus, pair, out=tmp_path / "out"), ("pair as a Pair",)),
        (lambda: compd.export(tiny_original(), "onnx", "x.onnx"), ("pair as a Pair",)),
        (lambda: list(compd.collect(compd.fuzz(pair, IMAGES), folder)), ("corpus as a Corpus",)),
    ]
    for call, said in calls:
        with refuses(*said):
            call()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"eps": 8 / 255}, ("eps as whole levels of 255", "--eps 8")),
        ({"eps": "4"}, ("eps as whole levels of 255", "eps='4'")),
        ({"eps": 4.5}, ("eps as whole levels of 255", "eps=4.5")),
        ({"limit": "3"}, ("limit as a whole number", "limit='3'")),
        ({"seconds": "1m"}, ("positive time", "time='1m'")),
        ({"random_seed": None}, ("random_seed", "None")),
        ({"goal": "most"}, ("first, severe",)),
        ({"strategy": "bondary"}, ("did you mean 'boundary'",)),
    ],
)
def test_settings_of_another_kind_are_told(
    settings: Any, said: tuple[str, ...], refuses: Refuses
) -> None:
    with refuses(*said):
        compd.fuzz(tiny_pair(), IMAGES, **settings)


def test_whole_numbers_of_any_type_are_stored_as_such() -> None:
    made = compd.fuzz(tiny_pair(), IMAGES, eps=np.int64(4), limit=3.0).settings  # type: ignore[arg-type]
    assert (type(made.eps), made.eps, type(made.limit), made.limit) == (int, 4, int, 3)
