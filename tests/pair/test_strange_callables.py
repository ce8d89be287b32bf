"""Functions and modules that share memory, answer in percents, or come in training mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_original, tiny_splits
from torch import Tensor, nn

import compd
from compd.errors import ModelError
from compd.logits import answers_of
from compd.pair import Pair
from compd.runtimes.outputs import Output, output_of

IMAGES = tiny_splits().seeds.images[:40]


def probabilities(images: Tensor) -> Tensor:
    with torch.inference_mode():
        answer: Tensor = tiny_original()(images / 255).softmax(1)
    return answer


class Buffer:
    """Answers each call into the same array, as a C library does."""

    def __init__(self) -> None:
        self.net, self.out = tiny_original(), np.empty((1, 3), np.float32)

    def __call__(self, images: Tensor) -> np.ndarray:
        with torch.inference_mode():
            self.out[:] = self.net(images / 255).numpy()
        return self.out


def test_a_buffer_that_the_next_answer_goes_to() -> None:
    pair = Pair.from_modules(tiny_original(), Buffer(), example=IMAGES[:1], batch=1)
    assert compd.evaluate(pair, IMAGES).natural_disagreement == 0
    with torch.inference_mode():
        want = torch.cat([tiny_original()(image[None] / 255) for image in IMAGES])
    torch.testing.assert_close(pair.deployed.run(IMAGES), want, rtol=1e-4, atol=1e-4)


def test_what_is_called_may_write_into_its_images() -> None:
    def inverting(images: Tensor) -> Tensor:
        images.sub_(255).neg_()
        return probabilities(images).log()

    before = IMAGES.clone()
    pair = Pair.from_modules(tiny_original(), inverting, example=IMAGES[:1])
    with torch.inference_mode():
        direct = tiny_original()(IMAGES / 255).argmax(1) != tiny_original()(
            (255 - IMAGES) / 255
        ).argmax(1)
    assert compd.evaluate(pair, IMAGES).disagree.tolist() == direct.tolist()
    assert direct.any()
    assert torch.equal(before, IMAGES)


@pytest.mark.parametrize(
    "scaled",
    [
        lambda p: 100 * p,
        lambda p: 2 * p,
        lambda p: (255 * p).round().to(torch.uint8),
        lambda p: p,
    ],
    ids=["percent", "two models", "uint8", "as they are"],
)
def test_margins_are_those_of_the_probabilities_behind(scaled: Callable[[Tensor], Tensor]) -> None:
    pair = Pair.from_modules(
        tiny_original(), lambda images: scaled(probabilities(images)), example=IMAGES[:1]
    )
    want = probabilities(IMAGES).sort(1, descending=True).values
    margin = answers_of(pair.deployed.run(IMAGES), head=pair.heads[1]).margin
    torch.testing.assert_close(margin, want[:, 0] - want[:, 1], rtol=0, atol=0.01)


def test_the_same_answer_to_everything_is_no_probability() -> None:
    same = torch.tensor([[0.5, 1.0, 4.0]]).expand(4, 3)
    assert output_of(same, said=None, told=None, name="x").kind == "logits"
    assert output_of(torch.zeros(4, 3), said=None, told=None, name="x").kind == "logits"


def test_the_logarithm_of_nothing_is_as_low_as_a_printed_zero() -> None:
    values = torch.tensor([[0.0, -math.inf, -2.0], [-1.0, -0.5, -3.0]])
    logits = Output("logits").logits(values, "x")
    assert logits.isfinite().all()
    assert logits.argmax(1).tolist() == [0, 1]
    assert float(logits.softmax(1)[0, 1]) < 1e-11
    assert torch.equal(logits[1], values[1])
    lost = Output("logits").logits(torch.full((1, 3), -math.inf), "x")
    assert not lost.isfinite().any()  # of which nothing can be said


class Two(nn.Module):
    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.answer = tiny_original(), answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(self.net(x))


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (lambda y: (y, y.sum(1)), "got tuple of 2"),
        (lambda y: {"out": y}, "got dict of 'out'"),
        (lambda y: "cat", "got str"),
        (lambda y: None, "got NoneType"),
    ],
    ids=["tuple", "dict", "text", "nothing"],
)
def test_other_answers_are_one_line(answer: Callable[[Tensor], Any], part: str) -> None:
    with pytest.raises(ModelError, match=part) as error:
        Pair.from_modules(tiny_original(), Two(answer), example=IMAGES[:1])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("how", ["scripted", "traced"])
@pytest.mark.filterwarnings("ignore")
def test_a_script_with_weights_is_asked_as_it_is(how: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3)).eval()
    script = torch.jit.script(net) if how == "scripted" else torch.jit.trace(net, IMAGES[:2] / 255)
    pair = Pair.from_modules(net, script, example=IMAGES[:1])
    assert compd.evaluate(pair, IMAGES).natural_disagreement == 0


def test_training_mode_is_told() -> None:
    pair = Pair.from_modules(tiny_original(), tiny_original().train(), example=IMAGES[:1])
    assert any("deployed model came in training mode" in note for note in pair.notes)
    quiet = Pair.from_modules(tiny_original(), tiny_original(), example=IMAGES[:1])
    assert not any("training mode" in note for note in quiet.notes)
