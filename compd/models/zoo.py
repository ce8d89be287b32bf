"""The table of built-in networks: adding one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from compd.errors import ModelError, unknown
from compd.models.densenet import densenet121
from compd.models.lenet import lenet5
from compd.models.lenet1 import lenet1
from compd.models.nin import nin
from compd.models.normalise import Classifier
from compd.models.resnet import resnet18, resnet20
from compd.models.vgg import vgg11
from compd.sizes import AnySize, Size

__all__ = ["ZOO", "ZooEntry", "build_zoo_model", "zoo_weights"]

_MOST_WEIGHTS = 1 << 27  # half a gigabyte; the widest of the papers has a fiftieth of that


@dataclass(frozen=True)
class ZooEntry:
    """One built-in network."""

    make: Callable[..., nn.Module]
    width: int  # of the network's own paper
    small_width: int  # for the embedded digits, which need no more and must train in a minute


ZOO: Mapping[str, ZooEntry] = {
    "vgg11": ZooEntry(vgg11, width=64, small_width=16),
    "resnet18": ZooEntry(resnet18, width=64, small_width=16),
    "densenet121": ZooEntry(densenet121, width=32, small_width=8),
    "resnet20": ZooEntry(resnet20, width=16, small_width=16),
    "lenet5": ZooEntry(lenet5, width=6, small_width=6),
    "lenet1": ZooEntry(lenet1, width=4, small_width=4),
    "nin": ZooEntry(nin, width=192, small_width=24),
}


def build_zoo_model(
    name: str,
    *,
    classes: int,
    channels: int = 3,
    size: AnySize = 32,
    width: int | None = None,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
    seed: int = 0,
) -> Classifier:
    """Build an untrained network of the zoo, normalisation included.

    Args:
        name: a key of :data:`ZOO`.
        classes: number of logits.
        channels: input channels, 1 or 3.
        size: of the images: 32, or height and width.
        width: base channels (growth rate for densenet121); None for that of the paper.
        mean: per-channel mean of pixels in 0..1.
        std: per-channel standard deviation of pixels in 0..1.
        seed: random seed of the initial weights; the global generator is left as it was.

    Returns:
        A module in eval mode: float pixels in 0..1 of shape (N, C, H, W) to logits (N, K).

    Raises:
        CompdError: if the name is unknown or an argument makes no sense.
    """
    weights = zoo_weights(name, classes=classes, channels=channels, size=size, width=width)
    width, size = ZOO[name].width if width is None else width, Size.of(size)
    if weights > _MOST_WEIGHTS:
        raise ModelError(
            f"expected a network of at most {_MOST_WEIGHTS} weights, got {weights} with "
            f"model={name!r}, width={width}, classes={classes}, size={size}; make it narrower"
        )
    if len(mean) != channels or len(std) != channels:
        raise ModelError(
            f"expected one mean and std for each of the {channels} channels, got "
            f"mean={tuple(mean)}, std={tuple(std)}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ZOO[name].make(width=width, channels=channels, classes=classes, size=size)
    return Classifier(net, mean, std).eval()


def zoo_weights(
    name: str, *, classes: int, channels: int = 3, size: AnySize = 32, width: int | None = None
) -> int:
    """How many weights a network of the zoo has; it takes no memory to tell.

    Raises:
        CompdError: if the name is unknown or an argument makes no sense.
    """
    if name not in ZOO:
        raise unknown("model", name, [*ZOO, "pkg.module:factory"])
    width, size = ZOO[name].width if width is None else width, Size.of(size)
    if width < 1 or classes < 2:
        raise ModelError(
            f"expected width >= 1 and classes >= 2, got width={width}, classes={classes}"
        )
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        net = ZOO[name].make(width=width, channels=channels, classes=classes, size=size)
    return sum(weight.numel() for weight in net.parameters())
