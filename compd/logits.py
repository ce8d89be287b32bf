"""What logits say: answers with their margins, ties, and how far two models are apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "Answers",
    "answers_of",
    "disagrees",
    "divergence",
    "divergences",
    "logit_margins",
    "probabilities_of",
]

TOP = 3  # answers kept for each model


@dataclass(frozen=True)
class Answers:
    """One model's answers to a batch."""

    label: Tensor  # int64 (N,)
    confidence: Tensor  # float32 (N,), p(top-1)
    margin: Tensor  # float32 (N,), p(top-1) - p(top-2)
    top_labels: Tensor  # int64 (N, min(3, K)), most probable first
    top_probabilities: Tensor  # float32, the same shape


def probabilities_of(logits: Tensor, head: str = "softmax") -> Tensor:
    """What a user of a model sees: (N, K), each in 0..1; a row that is not finite is all 0.

    Args:
        logits: float (N, K).
        head: ``softmax``, or ``sigmoid`` of each.
    """
    found = logits.sigmoid() if head == "sigmoid" else logits.softmax(1)
    return found.where(logits.isfinite().all(1, keepdim=True), torch.zeros(()))


def answers_of(logits: Tensor, prefer: Tensor | None = None, *, head: str = "softmax") -> Answers:
    """Probabilities, sorted.

    int8 logits take few values, so exact ties are common. A tie is no proof of a deviation: it goes
    to the preferred label if that takes part in it, else to the lower label. A model that answers
    NaN is sure of nothing: its probabilities are 0.

    Args:
        logits: float (N, K).
        prefer: int64 (N,), the labels that win ties.
        head: as of :func:`probabilities_of`.
    """
    logits = logits.float()
    probabilities = probabilities_of(logits, head)
    ranked = logits
    if prefer is not None:
        own = logits.gather(1, prefer[:, None])
        above = torch.nextafter(own, torch.full_like(own, float("inf")))
        ranked = logits.scatter(1, prefer[:, None], above)
    labels = ranked.sort(dim=1, descending=True, stable=True).indices
    values = probabilities.gather(1, labels)
    top = min(TOP, values.shape[1])
    return Answers(
        label=labels[:, 0],
        confidence=values[:, 0],
        margin=values[:, 0] - values[:, 1],
        top_labels=labels[:, :top],
        top_probabilities=values[:, :top],
    )


def logit_margins(logits: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
    """By how many logits a label leads: negative where it has lost.

    Args:
        logits: float (N, K).
        labels: int64 (N,).
        target: lead over this class alone; over the best other one if None.

    Returns:
        (N,), differentiable.
    """
    own = logits.gather(1, labels[:, None])
    if target is not None:
        return own[:, 0] - logits[:, target]
    rest = logits.scatter(1, labels[:, None], float("-inf")).amax(1, keepdim=True)
    return (own - rest)[:, 0]


def divergence(logits: Tensor, answers: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of a model from the original, in nats; differentiable.

    Args:
        logits: of the model, float (N, K).
        answers: the original's logits, float (N, K).
    """
    return divergences(logits, answers).mean()


def divergences(logits: Tensor, answers: Tensor) -> Tensor:
    """The same for each image: float (N,)."""
    apart = F.kl_div(
        logits.log_softmax(1), answers.log_softmax(1), log_target=True, reduction="none"
    )
    return apart.sum(1)


def disagrees(logits: Tensor, labels: Tensor) -> Tensor:
    """Where a model's answer is another than the given labels; a tie with the label is none.

    Args:
        logits: float (N, K).
        labels: int64 (N,).

    Returns:
        bool (N,).
    """
    # written so that a model that answers NaN disagrees
    return ~(logits.gather(1, labels[:, None])[:, 0] >= logits.amax(1))
