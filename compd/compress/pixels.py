"""Images that enter an int8 model as the integers that they are.

A network that normalises its input rounds the normalised values, whose steps are not those of
pixels. That is noise on the image itself, which passes through the whole network, and it need not
be: the first convolution takes in the normalisation, and what is quantised is the image, without an
error. What the convolution adds around the image is then no longer zero but the pixel that was
normalised to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.ao.quantization.observer import FixedQParamsObserver

from compd.compress.graph import ARITHMETIC
from compd.compress.quantiser import Quantiser, recipe

__all__ = ["Normalised", "bordered", "exact_input_", "given_state", "normalised", "take_images_"]

_LEVELS = 255
_MIDDLE = 128  # stands for zero: what rounding does to weights is multiplied by the input
_BORDER = "border_pixel"


@dataclass(frozen=True)
class Normalised:
    """That a graph begins with a convolution of ``gain * image + offset``."""

    convolution: str
    gain: Tensor  # (C,)
    offset: Tensor  # (C,)

    @property
    def pixel(self) -> Tensor:
        """The integer (C,) that is normalised to zero, nearly: 0..255 if it is a pixel at all."""
        return (-self.offset / self.gain * _LEVELS).round()

    def take_in_(self, convolution: nn.Conv2d) -> None:
        """Let a convolution of normalised images take ``image - 128 / 255``."""
        offset = self.offset + self.gain * (_MIDDLE / _LEVELS)
        with torch.no_grad():
            bias = convolution.weight.sum((2, 3)) @ offset
            # not in place: a model may use these weights elsewhere, too
            convolution.weight = nn.Parameter(convolution.weight * self.gain.reshape(1, -1, 1, 1))
            if convolution.bias is not None:
                bias += convolution.bias
            convolution.bias = nn.Parameter(bias)


def bordered(image: Tensor, pixel: Tensor, sides: list[int]) -> Tensor:
    """Add pixels around an image and move 128 to zero.

    Args:
        image: float (N, C, H, W), in 0..1.
        pixel: (1, C, 1, 1), in 0..1.
        sides: how many, as of :func:`torch.nn.functional.pad`.
    """
    return F.pad(image - pixel, sides) + (pixel - _MIDDLE / _LEVELS)


fx.wrap("bordered")  # one node: nothing inside of it is quantised


def normalised(traced: fx.GraphModule) -> Normalised | None:
    """Whether a graph begins with arithmetic that the convolution behind it can take in.

    That it can if each channel is moved and scaled, and if the convolution adds zeros around the
    image that a pixel is normalised to.
    """
    images = [node for node in traced.graph.nodes if node.op == "placeholder"]
    if len(images) != 1:
        return None
    (node,) = images
    modules = dict(traced.named_modules())
    line = torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1)  # these images become that
    while len(node.users) == 1:
        (user,) = node.users
        if user.op == "call_module":
            module, name = modules.get(str(user.target)), str(user.target)
            alone = sum(other.target == user.target for other in traced.graph.nodes) == 1
            return _taken_in(name, module, line) if alone and type(module) is nn.Conv2d else None
        if user.target not in ARITHMETIC or user.kwargs:
            return None
        line = user.target(*(line if arg is node else _value(traced, arg) for arg in user.args))
        node = user
    return None


def _value(traced: fx.GraphModule, arg: Any) -> Any:
    if not isinstance(arg, fx.Node):
        return arg
    if arg.op != "get_attr":
        return torch.nan  # not a constant: no straight line comes of it
    value: Any = traced
    for name in str(arg.target).split("."):
        value = getattr(value, name)
    return value


def _taken_in(name: str, convolution: nn.Conv2d, line: Tensor) -> Normalised | None:
    channels = convolution.in_channels
    if line.ndim != 4 or line.shape[2:] != (1, 1) or line.shape[1] not in (1, channels):
        return None
    padding = convolution.padding
    if convolution.groups != 1 or convolution.padding_mode != "zeros" or isinstance(padding, str):
        return None
    zero, half, one = line.detach().expand(3, channels, 1, 1).flatten(1)
    gain = one - zero
    bend = (half - (zero + one) / 2).abs()
    if not (bend <= 1e-5 * (zero.abs() + one.abs())).all() or not gain.all():  # NaN is not less
        return None
    found = Normalised(name, gain, zero)
    outside = (found.pixel < 0) | (found.pixel > _LEVELS)
    return None if any(padding) and bool(outside.any()) else found


def take_images_(traced: fx.GraphModule) -> None:
    """Let the first convolution of a graph take in the normalisation before it, if it can."""
    found = normalised(traced)
    if found is None:
        return
    convolution = traced.get_submodule(found.convolution)
    assert isinstance(convolution, nn.Conv2d)
    found.take_in_(convolution)
    rows, columns = (int(n) for n in convolution.padding)
    convolution.padding = (0, 0)
    traced.register_buffer(_BORDER, found.pixel.reshape(1, -1, 1, 1) / _LEVELS)
    graph = traced.graph
    image = next(node for node in graph.nodes if node.op == "placeholder")
    first = next(node for node in graph.nodes if node.target == found.convolution)
    with graph.inserting_before(first):
        pixel = graph.get_attr(_BORDER)
        node = graph.call_function(bordered, (image, pixel, [columns, columns, rows, rows]))
    node.meta["is_wrapped"] = True
    first.args = (node,)
    graph.eliminate_dead_code()
    traced.recompile()


def exact_input_(shadow: fx.GraphModule) -> None:
    """Quantise bordered images as what they are: integers in 0..255, in place."""
    for node in shadow.graph.nodes:
        if node.target is bordered:
            (user,) = node.users
            quantiser = recipe(
                Quantiser,
                observer=FixedQParamsObserver,
                scale=1 / _LEVELS,
                zero_point=_MIDDLE,
                quant_min=0,
                quant_max=_LEVELS,
                dtype=torch.quint8,
                qscheme=torch.per_tensor_affine,
            )
            shadow.set_submodule(str(user.target), quantiser())


def given_state(shadow: fx.GraphModule) -> set[str]:
    """The entries of a shadow's state that follow from its graph alone."""
    bordering = [node for node in shadow.graph.nodes if node.target is bordered]
    names = tuple(f"{user.target}." for node in bordering for user in node.users)
    return {key for key in shadow.state_dict() if key == _BORDER or key.startswith(names)}
