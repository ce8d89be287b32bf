from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from compd.models import ZOO, Normalise, build_zoo_model, state_hash, trace
from compd.models.inputs import predict, to_input

GREY: dict[str, Any] = {"channels": 1, "mean": (0.5,), "std": (0.25,)}
TINY = {
    "vgg11": 2,
    "resnet18": 2,
    "densenet121": 2,
    "resnet20": 2,
    "lenet5": 2,
    "lenet1": 2,
    "nin": 2,
}


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_network_answers_with_finite_logits_and_can_be_traced(
    name: str, channels: int, make_images: Any
) -> None:
    how = GREY if channels == 1 else {}
    model = build_zoo_model(name, classes=5, width=TINY[name], size=32, **how)
    assert not model.training
    x = to_input(make_images(2, channels=channels, height=32))
    graph = trace(model, name)
    with torch.inference_mode():
        logits = model(x)
        assert logits.shape == (2, 5)
        assert bool(torch.isfinite(logits).all())
        torch.testing.assert_close(graph(x), logits)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("vgg11", 9_231_114),
        ("resnet18", 11_173_962),
        ("densenet121", 6_956_298),
        ("resnet20", 269_722),
        ("lenet5", 62_006),
        ("lenet1", 4_526),
        ("nin", 968_394),
    ],
)
def test_the_default_width_is_that_of_the_paper(name: str, parameters: int) -> None:
    model = build_zoo_model(name, classes=10)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_seed_decides_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    hashes = [
        state_hash(build_zoo_model("lenet5", classes=3, seed=seed).state_dict())
        for seed in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert hashes[0] == hashes[1] != hashes[2]


def test_normalisation_is_the_first_layer() -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 1.0)
    model = build_zoo_model("lenet5", classes=3, size=16, mean=mean, std=std)
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], 1)
    torch.testing.assert_close(Normalise(mean, std)(x), expected)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), model.net(expected))


@pytest.mark.parametrize(("name", "near"), [("resnet-18", "resnet18"), ("VGG11", "vgg11")])
def test_an_unknown_name_lists_the_known_ones(name: str, near: str, refuses: Any) -> None:
    with refuses(f"model={name!r}", near, "densenet121", "pkg.module:factory"):
        build_zoo_model(name, classes=10)


@pytest.mark.parametrize(
    ("wrong", "culprit"),
    [
        ({"width": 0}, "width=0"),
        ({"classes": 1}, "classes=1"),
        ({"mean": (0.5,)}, "mean=(0.5,)"),
        ({"channels": 1}, "1 channels"),
    ],
)
def test_arguments_that_make_no_sense(wrong: dict[str, Any], culprit: str, refuses: Any) -> None:
    with refuses(culprit):
        build_zoo_model("lenet5", **{"classes": 10, **wrong})


@pytest.mark.parametrize(
    ("name", "size"), [("vgg11", 31), ("lenet5", 15), ("lenet1", 15), ("nin", 7)]
)
def test_images_too_small_for_a_network(name: str, size: int, refuses: Any) -> None:
    with refuses(name, f"size={size}"):
        build_zoo_model(name, classes=10, size=size)


def test_input_is_scaled_and_left_unchanged(make_images: Any) -> None:
    images = make_images(3)
    before = images.clone()
    x = to_input(images)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x, before.float() / 255)
    assert torch.equal(images, before)


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_predict_does_not_depend_on_the_batch(batch: int, make_images: Any) -> None:
    images = make_images(7)

    def run(x: Tensor) -> Tensor:
        assert len(x) <= batch
        return x.float().mean((2, 3))

    assert torch.equal(predict(run, images, batch=batch), images.float().mean((2, 3)))
