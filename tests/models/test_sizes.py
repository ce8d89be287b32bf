"""Sizes told here are those that PyTorch tells."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from compd.models.sizes import Sizes

TYPES = st.sampled_from([torch.float32, torch.int64, torch.uint8, torch.bool, torch.float64])
TWO = [torch.add, torch.sub, torch.mul, torch.div, torch.Tensor.__add__, torch.Tensor.__rsub__]
ONE = [torch.round, torch.neg, torch.exp, torch.trunc, torch.Tensor.abs, lambda x: x.clamp(0, 1)]


def meta(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def alike(call) -> None:
    """The same size and type, or both refuse."""
    found = []
    for sizes in (False, True):
        try:
            if sizes:
                with Sizes():
                    made = call()
            else:
                made = call()
            found.append((tuple(made.shape), made.dtype, made.device.type))
        except (RuntimeError, ValueError, IndexError, TypeError):
            found.append(None)
    assert found[0] == found[1]


@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4), TYPES, TYPES)
def test_elementwise(shapes, one, other) -> None:
    a, b = (meta(*pair) for pair in zip(shapes.input_shapes, (one, other), strict=True))
    for function in TWO:
        alike(lambda function=function: function(a, b))
        alike(lambda function=function: function(a, 2.0))
    for function in ONE:
        alike(lambda function=function: function(a))


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.integers(-5, 5),
    TYPES,
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.booleans(),
)
def test_joined_averaged_and_turned(shape, axis, dtype, lengths, keep) -> None:
    parts = []
    for length in lengths:
        sizes = list(shape)
        if -len(sizes) <= axis < len(sizes):
            sizes[axis] = length
        parts.append(meta(tuple(sizes), dtype))
    alike(lambda: torch.cat(parts, axis))
    alike(lambda: torch.cat([*parts, meta((1, *shape), dtype)], axis))
    x = meta(tuple(shape), dtype)
    alike(lambda: torch.mean(x, (axis,), keepdim=keep))
    alike(lambda: x.flip(axis))


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_products(n, k, other, m, bias) -> None:
    for shape in ((n, k), (2, n, k), (k,)):
        alike(lambda shape=shape: F.linear(meta(shape), meta((m, k)), meta((m,)) if bias else None))
        alike(lambda shape=shape: F.linear(meta(shape), meta((m, other))))


def test_a_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"), Sizes():
        torch.add(meta((2, 3)), meta((2, 4)))
