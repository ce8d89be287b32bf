"""What models say of clean images: each image is run once on each model.

The check of a pair, its accuracies and the choice of seeds look at the same images. They share one
:class:`AnswerCache`, which a pair carries.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.models.inputs import predict
from compd.runtimes import Runtime

__all__ = ["AnswerCache"]

_ROOM = 1 << 26  # numbers kept, of all models together: a quarter of a gigabyte


class AnswerCache:
    """Logits of models on images, computed once and kept while there is room.

    Args:
        room: numbers to keep at most; what is asked beyond that is computed each time.
    """

    def __init__(self, room: int = _ROOM) -> None:
        self._room = room
        # The runtime is kept with its answers, so that no other one takes over its identity.
        self._known: dict[int, tuple[Runtime, dict[bytes, Tensor]]] = {}

    def of(self, runtime: Runtime, images: Tensor, control: Control = QUIET) -> Tensor:
        """What a model says of images.

        Args:
            runtime: the model; another object is another model.
            images: uint8 (N, C, H, W), N at least 1.
            control: asked whether to stop.

        Returns:
            float32 logits (N, K) on the CPU.

        Raises:
            Stopped: if it was told to stop.
        """
        known = self._of(runtime)
        keys = [hashlib.sha256(image.tobytes()).digest() for image in images.numpy()]
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if not new:
            return torch.stack([known[key] for key in keys])
        rows = torch.tensor(list(new.values()))
        shown = images if len(new) == len(images) else images[rows]
        answers = predict(runtime.run, shown, control=control)
        found = dict(zip(new, answers, strict=True))
        if answers.numel() <= self._room:
            self._room -= answers.numel()
            known.update(found)
        return torch.stack([found[key] if key in found else known[key] for key in keys])

    def share(self, runtime: Runtime, copy: Runtime) -> None:
        """Hand the answers of a runtime to a copy of it, which takes its place."""
        self._known[id(copy)] = copy, self._of(runtime)
        del self._known[id(runtime)]

    def of_one(self, runtime: Runtime) -> AnswerCache:
        """A cache of its own that begins with what one runtime has said."""
        other = AnswerCache(self._room)
        other._known[id(runtime)] = runtime, self._of(runtime)
        return other

    def _of(self, runtime: Runtime) -> dict[bytes, Tensor]:
        return self._known.setdefault(id(runtime), (runtime, {}))[1]
