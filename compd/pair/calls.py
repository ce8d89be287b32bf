"""Calls of a user's code: what it is given, how many images at once, and what has to come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compd.errors import CompdError, ModelError, brief
from compd.runtimes.batching import Batching, batching_of, probe_images, split

__all__ = ["Calls", "numbers_from"]


class Calls:
    """Calls of a user's code: how many images each, and whether numbers (N, K) come back.

    Args:
        call: uint8 (N, C, H, W) -> (N, K), a tensor or an array.
        most: images a call; None for any number.
        name: for messages.
        batching: how it treats several images; ``ANY`` is tried.
        learn: told what it says of a few images before all else; None: nobody is.
    """

    def __init__(
        self,
        call: Callable[[Tensor], Any],
        most: int | None,
        name: str,
        batching: Batching = Batching.ANY,
        learn: Callable[[Tensor], None] | None = None,
    ) -> None:
        self._call, self._most, self.name, self.batching = call, most, name, batching
        self._learn = learn
        self._tried = learn is None and (batching is not Batching.ANY or most == 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Numbers float32 (N, K) of images, uint8 (N, C, H, W)."""
        if not len(images):
            return torch.empty(0, 0)
        if not self._tried:
            self._tried = True
            probes = probe_images(*images.shape[1:])
            try:
                self.batching, values = batching_of(self._asked, probes, most=self._most)
            except CompdError:
                values = None  # what it cannot answer is told of the images themselves
            if values is not None and self._learn is not None:
                self._learn(values)
        return torch.cat([self._asked(part) for part in split(images, self.batching, self._most)])

    def _asked(self, part: Tensor) -> Tensor:
        return numbers_from(self._call, part, self.name, least=1)


def numbers_from(
    call: Callable[[Tensor], Any], images: Tensor, name: str, *, least: int = 2
) -> Tensor:
    """Call, and see to it that numbers (N, K) come back: float32, on the CPU.

    Nothing is shared with what is called: it may write into the images that it gets, and answer
    from a buffer that its next answer goes to.
    """
    try:
        answer = call(images.clone())
    except CompdError:
        raise
    except Exception as error:  # of whatever is called
        raise ModelError(
            f"expected {name} to take uint8 images {tuple(images.shape)}, but it raised "
            f"{type(error).__name__}: {brief(error)}"
        ) from error
    logits = _as_numbers(answer, name)
    logits = logits.dequantize() if logits.is_quantized else logits
    logits = logits[:, None] if logits.ndim == 1 and least == 1 else logits
    if logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < least:
        raise ModelError(
            f"expected {name} to return numbers (N, K) with K >= {least} for {len(images)} images, "
            f"got shape {tuple(logits.shape)}"
        )
    return logits.detach().to("cpu", torch.float32, copy=True)


def _as_numbers(answer: Any, name: str) -> Tensor:
    if isinstance(answer, Tensor):
        return answer
    try:
        array = np.asarray(answer)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"numbers of type {array.dtype}")
        return torch.as_tensor(array)
    except (ValueError, TypeError, RuntimeError) as error:
        kind = type(answer).__name__
        held = f" of {', '.join(map(repr, list(answer)[:4]))}" if isinstance(answer, dict) else ""
        held = f" of {len(answer)}" if isinstance(answer, tuple | list) else held
        raise ModelError(
            f"expected {name} to return numbers (N, K), a tensor or an array, got {kind}{held} "
            f"({brief(error)}); wrap it in a function that returns the scores alone"
        ) from error
