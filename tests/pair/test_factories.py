"""Pairs of other people's networks, from ``pkg.module:factory`` to findings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SIZE, tiny_splits
from tiny_states import net
from torch import Tensor, nn

import compd
from compd.models.exported import exported
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.pair.original import train_original

FACTORIES = """
import torch
from tiny_states import GOOD, QUANTISED, net
from torch import nn


def normed():
    return GOOD["old weight norm"](net())


def quantised():
    return QUANTISED["fx"](net())


def vit():
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    return ViTForImageClassification(
        ViTConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            image_size=16, patch_size=4, num_labels=3, initializer_range=0.3,
        )
    )


def resnet():
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
        )
    )


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.linear = nn.Linear(16, 3)

    def forward(self, x):
        y = self.patches(x).flatten(2).transpose(1, 2)
        return self.linear(self.attention(y, y, y, need_weights=False)[0].mean(1))


def attention():
    torch.manual_seed(0)
    return Attention()


class Branches(Attention):
    def forward(self, x):
        if x.mean() > 0.5:
            x = 1 - x
        return super().forward(x)


def branches():
    return Branches()
"""
INT8 = {"vit": {"Conv2d": 1, "Linear": 13}, "attention": {"Conv2d": 1, "Linear": 3, "mean": 1}}


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "others.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "others", raising=False)
    return "others"


def called(name: str) -> nn.Module:
    """The module as its factory gives it."""
    return getattr(sys.modules["others"], name)().eval()  # type: ignore[no-any-return]


def logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        answer = model(images / 255)
    return getattr(answer, "logits", answer)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["vit", "resnet", "attention", "normed"])
def test_a_network_of_others_is_compressed_searched_saved_and_loaded(
    name: str, others: str, tmp_path: Path
) -> None:
    if name in ("vit", "resnet"):
        pytest.importorskip("transformers")
    pair = build_pair(f"{others}:{name}", data=tiny_splits(), compress="ptq", device="cpu")
    images = tiny_splits().seeds.images[:24]
    expected = logits(called(name), images)
    torch.testing.assert_close(pair.reference.run(images), expected, atol=1e-5, rtol=1e-4)
    kinds = pair.deployed.census
    assert kinds["int8"] == INT8.get(name, kinds["int8"])
    apart = (pair.deployed.run(images) - expected).abs().max() / expected.abs().max()
    assert 0 < apart < 0.2
    for one in compd.fuzz(pair, images[:3], eps=16):
        said = logits(called(name), one.image[None])
        if one.original.margin > 1e-4:
            assert int(said.argmax()) == one.original.label
    pair.save(tmp_path / "pair")
    again = Pair.load(tmp_path / "pair", device="cpu")
    assert torch.equal(again.deployed.run(images), pair.deployed.run(images))


def test_what_stays_float_is_named(others: str) -> None:
    pytest.importorskip("transformers")
    pair = build_pair(f"{others}:vit", data=tiny_splits(), compress="ptq", device="cpu")
    floats = {"add": 5, "gelu": 2, "layer_norm": 5, "scaled_dot_product_attention": 2}
    assert pair.deployed.census["float32"] == floats


@pytest.mark.parametrize("compress", ["qat", "prune:epochs=1"])
def test_it_is_fine_tuned_too(compress: str, others: str) -> None:
    pytest.importorskip("transformers")
    pair = build_pair(f"{others}:resnet", data=tiny_splits(), compress=compress, device="cpu")
    weights = dict(pair.original.named_parameters())
    moved = [
        name
        for name, weight in pair.shadow.named_parameters()
        if name in weights and not torch.equal(weight, weights[name])
    ]
    assert len(moved) > 5


def test_weights_under_the_names_of_the_factory_or_of_plain_layers(
    others: str, tmp_path: Path
) -> None:
    name, images = f"{others}:normed", tiny_splits().seeds.images[:4]
    __import__(others)
    came = called("normed")
    with torch.no_grad():
        came.conv1.weight_g.mul_(2)  # type: ignore[operator,union-attr]
    torch.save(came.state_dict(), tmp_path / "own.pt")
    plain = net()
    torch.save(plain.state_dict(), tmp_path / "plain.pt")
    for model, file in ((came, "own.pt"), (plain, "plain.pt")):
        pair = build_pair(
            name, data=tiny_splits(), weights=tmp_path / file, compress="ptq", device="cpu"
        )
        torch.testing.assert_close(
            pair.reference.run(images), logits(model, images), atol=1e-5, rtol=1e-4
        )


def test_a_network_that_cannot_be_traced_is_trained_under_its_own_names(
    others: str, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    out = tmp_path / "vit.safetensors"
    train_original(f"{others}:vit", tiny_splits(), out, epochs=1, device="cpu")
    pair = build_pair(
        f"{others}:vit", data=tiny_splits(), weights=out, compress="ptq", device="cpu"
    )
    assert pair.reference.run(tiny_splits().seeds.images[:2]).shape == (2, 3)


def test_what_nothing_traces_names_the_line(others: str, refuses: Any) -> None:
    with refuses("others:branches", "if x.mean() > 0.5", "torch.export:", "control flow"):
        build_pair(f"{others}:branches", data=tiny_splits(), compress="ptq", device="cpu")


def test_quantised_already_is_one_line(others: str, refuses: Any) -> None:
    with refuses("others:quantised", "quantised already", "--deployed"):
        build_pair(f"{others}:quantised", data=tiny_splits(), compress="ptq", device="cpu")


class InPlace(nn.Module):
    """Results that are changed in place, and used before and behind that."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        first = y * 2
        y += 1
        y.relu_()
        return self.linear((first + y).mean((2, 3)))


def test_what_is_changed_in_place_is_so_in_the_graph() -> None:
    model = InPlace().eval()
    x = torch.rand(4, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(exported(model, x[:2])(x), model(x))
