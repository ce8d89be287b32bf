"""Margins, ties and divergences, against plain Python."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from compd.logits import answers_of, disagrees, divergences, logit_margins

# few values: ties are common, as they are in int8
LOGITS = array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6).flatmap(
    lambda shape: arrays("float32", shape, elements=st.integers(-3, 3).map(float))
)


@given(LOGITS, st.data())
def test_a_model_disagrees_where_another_class_is_above_the_label(
    values: object, data: st.DataObject
) -> None:
    logits = torch.as_tensor(values)
    labels = torch.tensor(
        data.draw(st.lists(st.integers(0, logits.shape[1] - 1), min_size=len(logits)))[
            : len(logits)
        ]
    )
    expected = [max(row) > row[label] for row, label in zip(logits.tolist(), labels, strict=True)]
    assert disagrees(logits, labels).tolist() == expected
    answers = answers_of(logits, prefer=labels)
    assert answers.label.ne(labels).tolist() == expected  # a tie goes to the preferred label
    assert (logit_margins(logits, labels) < 0).tolist() == expected
    for row, label, margin in zip(logits.tolist(), answers.label, answers.margin, strict=True):
        powers = [math.exp(value) for value in row]
        own = powers.pop(int(label))
        total = own + sum(powers)
        assert abs(float(margin) - (own - max(powers)) / total) < 1e-5


def test_nan_is_no_answer() -> None:
    logits = torch.tensor([[float("nan")] * 3, [0.0, float("nan"), 1.0]])
    assert disagrees(logits, torch.tensor([0, 2])).tolist() == [True, True]
    assert answers_of(logits).margin[0] == 0


def test_a_margin_over_one_class() -> None:
    logits = torch.tensor([[1.0, 5.0, 3.0]])
    assert logit_margins(logits, torch.tensor([2]), 0).tolist() == [2.0]
    assert logit_margins(logits, torch.tensor([2])).tolist() == [-2.0]


@given(LOGITS)
def test_divergence_is_that_of_the_definition(values: object) -> None:
    answers = torch.as_tensor(values).double()
    logits = answers.flip(1)
    p, q = answers.softmax(1), logits.softmax(1)
    expected = (p * (p / q).log()).sum(1)
    assert torch.allclose(divergences(logits, answers), expected, atol=1e-9)
    assert (divergences(answers, answers) == 0).all()
