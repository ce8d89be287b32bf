"""What the numbers are that a model answers with: logits, or probabilities of some kind.

Everywhere else an answer is logits, and a head says what probabilities they stand for: softmax, or
a sigmoid of each. What a file ends in tells that; where it does not, the values do; and what is not
clear is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.errors import ModelError, SettingError
from compd.wording import setting

__all__ = ["LEAST", "OUTPUTS", "Output", "choose_output", "output_of"]

OUTPUTS = ("logits", "probs", "sigmoid", "binary")
LEAST = 1e-12  # probability that a printed 0 counts as
_SUM = 0.02  # by which rows of rounded probabilities miss 1 at most
_OUTSIDE = 0.02  # by which rounded probabilities leave 0..1 at most


@dataclass(frozen=True)
class Output:
    """What a model's numbers are."""

    kind: str = "logits"  # or "probs", "sigmoid"
    single: bool = False  # one number for two classes
    raw: bool = False  # logits of sigmoids, which the file leaves to whoever reads them

    @property
    def head(self) -> str | None:
        """``softmax`` or ``sigmoid``; None for logits of which nobody says it."""
        if self.kind == "logits" and not self.single:
            return None
        return "sigmoid" if self.kind == "sigmoid" and not self.single else "softmax"

    def describe(self, classes: int) -> str:
        """For people: ``10 logits``, ``1 probability of the second of 2 classes``."""
        if self.single:
            what = "logit" if self.kind == "logits" else "probability"
            return f"1 {what}, of the second of 2 classes"
        return f"{classes} logits of sigmoids" if self.raw else f"{classes} {self.kind}"

    def logits(self, values: Tensor, name: str) -> Tensor:
        """Turn a model's numbers into logits.

        Args:
            values: float32 (N, K), or (N, 1) of a single number.
            name: of the model, for messages.

        Returns:
            float32 (N, K), or (N, 2) of a single number: 0 and the logit of the second class.

        Raises:
            ModelError: if they cannot be what they are said to be.
        """
        if self.kind == "probs" and not self.single:
            return values.clamp_min(LEAST).log()
        if self.kind == "logits" and not self.single:
            return _of_nothing(values)
        if self.kind != "logits" and not self.raw:
            outside = (values < -_OUTSIDE) | (values > 1 + _OUTSIDE)
            if isinstance(values, Tensor) and bool(outside.any()):  # and no tracer's
                raise ModelError(
                    f"expected probabilities from {name!r}, got numbers in "
                    f"{float(values.min()):g}..{float(values.max()):g}; pass "
                    f"{setting('output', 'logits')}"
                )
            exact = values.double().clamp(LEAST, 1 - LEAST)
            values = (exact.log() - (-exact).log1p()).float()
        return torch.cat([torch.zeros_like(values), values], 1) if self.single else values


def _of_nothing(values: Tensor) -> Tensor:
    """The logarithm of a probability that was rounded to 0 is as low as that of a printed 0."""
    nothing = values == -math.inf
    if isinstance(values, Tensor) and not bool(nothing.any()):  # and no tracer's
        return values
    highest = values.max(1, keepdim=True).values
    return torch.where(nothing & highest.isfinite(), highest + math.log(LEAST), values)


def choose_output(names: Sequence[Sequence[str]], said: str | None, name: str) -> int:
    """Which of a file's outputs has its scores.

    Args:
        names: of each output, which may have several.
        said: the name that the user passes; None where there is one output alone.
        name: of the file, for messages.

    Raises:
        CompdError: if there is no output of that name, or nobody says which.
    """
    for at, own in enumerate(names):
        if said in own:
            return at
    listed = ", ".join(own[0] if own else "one without a name" for own in names) or "none"
    if said is not None:
        raise SettingError(
            f"expected the name of an output of {name!r} ({listed}), got "
            f"{setting('output_name', said)}"
        )
    if len(names) == 1:
        return 0
    alone = setting("deployed_input", "'output-name=NAME'")
    raise ModelError(
        f"expected one output in {name!r}, or to be told which has the scores, got {len(names)}: "
        f"{listed}; pass {setting('output_name', 'NAME')} with that one ({alone} for the deployed "
        "file alone)"
    )


def output_of(values: Tensor, *, said: str | None, told: str | None, name: str) -> Output:
    """What a model's numbers are.

    Args:
        values: float (N, K) for a few different images.
        said: one of :data:`OUTPUTS`, by the user or the file's metadata; None if nobody does.
        told: ``probs`` or ``sigmoid`` if the model's last operator is a softmax or a sigmoid.
        name: of the model, for messages.

    Raises:
        CompdError: if that is not clear, or cannot be.
    """
    inside = bool(((values >= -_OUTSIDE) & (values <= 1 + _OUTSIDE)).all())
    if values.shape[1] == 1:
        return _single(said, told, inside, name)
    if said == "binary":
        raise SettingError(
            f"expected one number an image from {name!r} with {setting('output', 'binary')}, got "
            f"{values.shape[1]}"
        )
    if said == "sigmoid":
        return Output("sigmoid", raw=told != "sigmoid" and not inside)
    if said is not None:
        return Output(said)
    if told is not None:
        return Output(told)
    return Output("probs" if _shares(values) else "logits")


def _shares(values: Tensor) -> bool:
    """Whether rows are probabilities, or as many parts of a hundred, of 255, of several models.

    None is negative, and all rows have the same sum, though they differ: of logits that is no
    accident. The softmax of their logarithms is each value's part of its row's sum.
    """
    if len(values) < 2 or bool((values < 0).any()):
        return False
    sums = values.sum(1)
    one = bool(((sums - 1).abs() < _SUM).all())
    alike = float(sums.min()) > 0 and float(sums.max() / sums.min()) - 1 < _SUM
    return one or (alike and bool((values != values[0]).any()))


def _single(said: str | None, told: str | None, inside: bool, name: str) -> Output:
    """One number an image: the probability of the second class, or its logit."""
    if said in ("probs", "sigmoid") or (said in (None, "binary") and told == "sigmoid"):
        return Output("sigmoid", single=True)
    if said == "logits" or not inside:
        return Output("logits", single=True)
    raise SettingError(
        f"expected to know what the one number is that {name!r} answers with, got numbers in 0..1 "
        f"and no sigmoid at its end; pass {setting('output', 'probs')} if it is the probability of "
        f"the second class, or {setting('output', 'logits')} if its sign decides"
    )
