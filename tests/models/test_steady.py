"""A float model answers an image the same whatever the batch it comes in."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import TinyNet
from torch import nn
from torch.nn import functional as F

from compd.models.inputs import steady
from compd.models.products import ROWS, linear, matmul


class Attention(nn.Module):
    """Attention in PyTorch's own fast path, a wide head, and a branch that may be empty."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 4, 4)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.rare = nn.Linear(32, 32)
        self.head = nn.Linear(32, 512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.encoder(self.patch(x).flatten(2).transpose(1, 2)).mean(1)
        chosen = y[:, 0] > 1e9  # none
        y = y + self.rare(y[chosen]).sum()
        return self.head(y)


class Scripted(nn.Module):
    """What looks past PyTorch's functions: scripted, and sums over named dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(768, 64), nn.ReLU()))
        self.weight = nn.Parameter(torch.randn(64, 40) / 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.addmm(torch.zeros(40), self.body(x), self.weight)
        return torch.einsum("nk,kl->nl", y, self.weight.t())


@pytest.mark.parametrize("make", [TinyNet, Attention, Scripted])
@pytest.mark.parametrize("threads", [1, 2])
def test_in_any_batch(make: type[nn.Module], threads: int) -> None:
    torch.manual_seed(0)
    model, x = make().eval(), torch.rand(40, 3, 16, 16)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            whole = steady(model)(x)
            for count in (1, 2, 3, 5, 7, 8, 9, 10, 15, 16, 17, 27):
                assert torch.equal(steady(model)(x[:count]), whole[:count]), count
    finally:
        torch.set_num_threads(before)


def test_gradients_in_any_batch() -> None:
    torch.manual_seed(0)
    model, x = TinyNet().eval(), torch.rand(20, 3, 16, 16)

    def gradient(part: torch.Tensor) -> torch.Tensor:
        part = part.clone().requires_grad_()
        (found,) = torch.autograd.grad(steady(model)(part).amax(1).sum(), part)
        return found

    whole = gradient(x)
    for count in (1, 3, 8, 15):
        assert torch.equal(gradient(x[:count]), whole[:count]), count


def test_no_image_is_no_answer() -> None:
    assert steady(TinyNet().eval())(torch.rand(0, 3, 16, 16)).shape == (0, 3)


@given(
    st.integers(0, 2 * ROWS),
    st.sampled_from([(), (1,), (3,)]),
    st.integers(1, 600),
    st.integers(1, 20),
    st.booleans(),
)
def test_products(rows: int, more: tuple[int, ...], k: int, m: int, bias: bool) -> None:
    torch.manual_seed(rows)
    x, weight = torch.rand(rows, *more, k), torch.rand(m, k)
    add = torch.rand(m) if bias else None
    assert torch.allclose(linear(x, weight, add), F.linear(x, weight, add), rtol=1e-5)
    assert torch.allclose(matmul(x, weight.t()), torch.matmul(x, weight.t()), rtol=1e-5)


@pytest.mark.parametrize(("k", "m"), [(8, 3), (120, 84), (512, 10), (512, 1000)])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 15])
def test_few_rows_are_as_among_many(k: int, m: int, rows: int) -> None:
    torch.manual_seed(0)
    x, weight, add = torch.rand(40, k), torch.rand(m, k), torch.rand(m)
    assert torch.equal(linear(x[:rows], weight, add), linear(x, weight, add)[:rows])
    assert torch.equal(matmul(x[:rows], weight.t()), matmul(x, weight.t())[:rows])
