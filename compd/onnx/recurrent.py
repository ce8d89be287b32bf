"""Recurrent layers, unrolled: each step is written out, so that sequences have one length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from compd.models.products import linear
from compd.onnx.node import Node

__all__ = ["gru", "lstm", "rnn"]

# (state of each kind, or None before the first step; what comes of the input) -> new states
_States = tuple[Any, ...]
_Step = Callable[[_States, Tensor], _States]
_MOST_STEPS = 1024


def lstm(
    node: Node,
    x: Tensor,
    weights: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    hidden: Tensor | None = None,
    cell: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """``LSTM``: gates come in the order input, output, forget, cell."""
    if peepholes is not None or node.get("input_forget", 0):
        raise node.refuse("peepholes or coupled gates")
    _check(node, lengths, ["Sigmoid", "Tanh", "Tanh"])
    size = node.get("hidden_size")

    def make(at: int) -> _Step:
        def step(states: _States, given: Tensor) -> _States:
            before, kept = states
            if before is not None:
                given = given + linear(before, recurrent[at])
            into, out, forget, fresh = (given[..., i * size : (i + 1) * size] for i in range(4))
            new = torch.sigmoid(into) * torch.tanh(fresh)
            if kept is not None:
                new = torch.sigmoid(forget) * kept + new
            return torch.sigmoid(out) * torch.tanh(new), new

        return step

    return _unrolled(node, x, weights, _summed(_halves(node, bias, 4)), (hidden, cell), make)


def gru(
    node: Node,
    x: Tensor,
    weights: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    hidden: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """``GRU``: gates come in the order update, reset, hidden."""
    _check(node, lengths, ["Sigmoid", "Tanh"])
    after = bool(node.get("linear_before_reset", 0))
    size = node.get("hidden_size")
    halves = _halves(node, bias, 3)

    def make(at: int) -> _Step:
        gates, last = recurrent[at][: 2 * size], recurrent[at][2 * size :]
        own = halves[at][1] if halves else None  # bias of what comes from the state

        def step(states: _States, given: Tensor) -> _States:
            (before,) = states
            both, fresh = given[..., : 2 * size], given[..., 2 * size :]
            if own is not None:
                both = both + own[: 2 * size]
            if before is not None:
                both = both + linear(before, gates)
            both = torch.sigmoid(both)
            update, reset = both[..., :size], both[..., size:]
            tail = None if own is None else own[2 * size :]
            if after:
                kept = None if before is None else linear(before, last)
                kept = tail if kept is None else kept if tail is None else kept + tail
                fresh = fresh if kept is None else fresh + reset * kept
            else:
                fresh = fresh if tail is None else fresh + tail
                fresh = fresh if before is None else fresh + linear(reset * before, last)
            new = (1 - update) * torch.tanh(fresh)
            return (new if before is None else new + update * before,)

        return step

    biases = [half[0] for half in halves] or None
    return _unrolled(node, x, weights, biases, (hidden,), make)


def rnn(
    node: Node,
    x: Tensor,
    weights: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    hidden: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """``RNN`` with tanh or ReLU."""
    kinds = node.get("activations", ["Tanh"])
    names = {name.decode() if isinstance(name, bytes) else name for name in kinds}
    relu = names == {"Relu"}
    _check(node, lengths, ["Relu"] if relu else ["Tanh"])

    def make(at: int) -> _Step:
        def step(states: _States, given: Tensor) -> _States:
            (before,) = states
            total = given if before is None else given + linear(before, recurrent[at])
            return (torch.relu(total) if relu else torch.tanh(total),)

        return step

    return _unrolled(node, x, weights, _summed(_halves(node, bias, 1)), (hidden,), make)


def _halves(node: Node, bias: Tensor | None, gates: int) -> list[tuple[Tensor, Tensor]]:
    """Each direction's bias of what comes from the input, and of what comes from the state."""
    if bias is None:
        return []
    half = gates * node.get("hidden_size")
    return [(bias[at][:half], bias[at][half:]) for at in _directions(node)]


def _summed(halves: list[tuple[Tensor, Tensor]]) -> list[Tensor] | None:
    return [one + other for one, other in halves] or None


def _unrolled(
    node: Node,
    x: Tensor,
    weights: Tensor,
    biases: list[Tensor] | None,
    starts: _States,
    make: Callable[[int], _Step],
) -> tuple[Tensor, ...]:
    """Run all directions over x (L, N, C).

    Returns:
        (L, D, N, H), and the last state of each kind, (D, N, H), of D directions.
    """
    (length,) = node.fixed(node.shapes[0][:1])
    if not 0 < length <= _MOST_STEPS:
        raise node.refuse(f"a sequence of {length} steps")
    whole: list[Tensor] = []
    lasts: list[_States] = []
    for at in _directions(node):
        given = linear(x, weights[at], None if biases is None else biases[at])
        backwards = at == 1 or node.get("direction", "forward") == "reverse"
        states: _States = tuple(None if start is None else start[at] for start in starts)
        step, seen = make(at), []
        for i in reversed(range(length)) if backwards else range(length):
            states = step(states, given[i])
            seen.append(states[0])
        whole.append(torch.stack(seen[::-1] if backwards else seen))
        lasts.append(states)
    ends = (torch.stack(list(kind)) for kind in zip(*lasts, strict=True))
    return torch.stack(whole, 1), *ends


def _directions(node: Node) -> range:
    return range(2 if node.get("direction", "forward") == "bidirectional" else 1)


def _check(node: Node, lengths: Any, usual: list[str]) -> None:
    """Raise for what is not the layer that frameworks export."""
    given = node.get("activations") or usual
    names = [name.decode() if isinstance(name, bytes) else name for name in given]
    if names != usual * (len(names) // len(usual)):
        raise node.refuse(f"activations {', '.join(names)}")
    if lengths is not None or node.get("layout", 0) or node.get("clip") is not None:
        raise node.refuse("sequences of several lengths, layout=1 or a clip")
