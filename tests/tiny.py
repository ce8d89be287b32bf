"""A tiny real pair: a network that trains in a second on coloured stripes."""

from __future__ import annotations

import copy
from functools import cache

import torch
from torch import Tensor, nn

from compd.compress import Compression, Ptq, empty_shadow, make_shadow
from compd.compress.int8 import calibrated
from compd.data import Dataset, Part, Splits, part_of
from compd.models import Classifier
from compd.models.inputs import to_input
from compd.pair import Pair
from compd.pair.spec import ModelSpec, PairSpec
from compd.sizes import Size
from compd.training import TrainConfig, fit_

CLASSES = ("red", "green", "blue")
SIZE = 16
CPU = torch.device("cpu")


class TinyNet(nn.Module):
    """Convolutions with BatchNorm, a residual sum, a linear layer."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.relu(self.bn1(self.conv1(x))))
        y = self.relu(self.bn2(self.conv2(y)) + y)
        return self.linear(y.mean((2, 3)))


def _images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise with one channel a little brighter than the others: classes overlap on purpose."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    images = torch.randint(60, 180, (count, 3, SIZE, SIZE), generator=generator)
    lift = torch.randint(4, 30, (count,), generator=generator)
    images[torch.arange(count), labels] += lift[:, None, None]
    return images.to(torch.uint8), labels


@cache
def tiny_splits() -> Splits:
    def part(count: int, seed: int) -> Part:
        return part_of(*_images(count, seed), len(CLASSES), "tiny")

    return Splits(
        Dataset(
            name="tiny",
            identity="tiny-1",
            classes=CLASSES,
            channels=3,
            size=Size(SIZE, SIZE),
            mirror=True,
            loaders={"train": lambda: part(600, 1), "test": lambda: part(200, 2)},
        )
    )


def untrained() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Classifier(TinyNet(), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval()


@cache
def _trained() -> nn.Module:
    model = untrained()
    splits = tiny_splits()
    config = TrainConfig(epochs=4, batch=32, lr=0.05, pad=1)
    fit_(model, splits.train, splits.selection, config, stage="tiny", device=CPU)
    return model.eval()


def tiny_original() -> nn.Module:
    """A fresh copy of a trained network: 0..1 pixels in, 3 logits out."""
    return copy.deepcopy(_trained())


@cache
def _shadow(config: Compression) -> nn.Module:
    return make_shadow(config, tiny_original(), tiny_splits(), device=CPU)


def calibrated_shadow(config: Compression, original: nn.Module, images: Tensor) -> nn.Module:
    """A shadow whose ranges are those of uint8 images; not trained."""
    return calibrated(empty_shadow(config, original, to_input(images[:1])), images)


def tiny_spec(config: Compression, engine: str = "x86") -> PairSpec:
    model = ModelSpec("tiny:untrained", None, 3, Size(SIZE, SIZE), CLASSES, mean=None, std=None)
    return PairSpec(model, config, engine, "tiny", "tiny-1")


def tiny_pair(
    config: Compression | None = None, engine: str = "x86", *, batch: int | None = None
) -> Pair:
    """A pair of its own: models are copies."""
    config = config or Ptq()
    shadow = copy.deepcopy(_shadow(config))
    pair = Pair(tiny_spec(config, engine), tiny_original(), shadow, device=CPU)
    pair.batch = batch
    return pair
