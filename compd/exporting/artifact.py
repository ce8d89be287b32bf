"""What goes into an export and what comes out, before any of it touches the disk."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from compd._version import __version__
from compd.compress.explicit import is_quantised
from compd.data import Splits
from compd.errors import SettingError, brief
from compd.pair import Pair
from compd.wording import setting

__all__ = ["MODELS", "Artifact", "Plain", "Source", "Target", "one_line"]

MODELS = ("original", "deployed")


@dataclass(frozen=True)
class Artifact:
    """The content of the files of an export."""

    files: Mapping[str, bytes]  # suffix -> content; the first is the one to open
    input: str
    output: str = "logits: float32 (N, K)"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plain:
    """A target without settings."""


@dataclass(frozen=True)
class Source:
    """The model that is to be written.

    Args:
        pair: the pair it is from.
        of: ``original`` or ``deployed``.
        splits: where calibration rows come from; None if the target needs none.
    """

    pair: Pair
    of: str
    splits: Splits | None = None

    @cached_property
    def quantised(self) -> bool:
        """Whether it computes with integers."""
        return self.of == "deployed" and is_quantised(self.pair.shadow)

    @cached_property
    def module(self) -> nn.Module:
        """Float pixels (N, C, H, W) in 0..1 to logits; a shadow if quantised; a copy on the CPU."""
        module = self.pair.original if self.of == "original" else self.pair.shadow
        return copy.deepcopy(module).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload,no-any-return]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return self.pair.spec.model.shape

    @property
    def calibration(self) -> Tensor:
        """Float pixels (N, C, H, W) in 0..1 of the calibration rows.

        Raises:
            CompdError: if there are no splits.
        """
        if self.splits is None:
            raise SettingError(
                "splits to calibrate with", splits=None, advice=f"name the {setting('data')}"
            )
        return self.splits.calibration.images.float() / 255

    @property
    def about(self) -> dict[str, str]:
        """What a stranger who opens the file has to know; the keys are those of its metadata."""
        return {
            "compd.version": __version__,
            "compd.model": self.of,
            "compd.sha256": self.pair.hashes[self.of],
            "compd.colours": "RGB" if self.shape[0] == 3 else "grey",
            "compd.layout": "NCHW",
            "compd.range": "0,1",
            "compd.mean": "none",  # normalisation is the model's first layer
            "compd.std": "none",
            "compd.output": "logits",
            "compd.classes": json.dumps(list(self.pair.classes)),
        }

    def input(self, batch: str = "N") -> str:
        """The input in words."""
        shape = ", ".join(map(str, self.shape))
        colours = self.about["compd.colours"]
        return f"image: float32 ({batch}, {shape}), {colours} pixels in 0..1, not normalised"


@dataclass(frozen=True)
class Target:
    """A kind of artifact."""

    what: str  # in a few words
    suffix: str
    takes: tuple[str, ...]  # float (an original, a pruned model), int8 (a deployed int8 model)
    make: Callable[[Source, Any], Artifact]
    calibrates: bool = False
    beside: str = ""  # suffix of a second file
    config: type[Any] = field(default=Plain)


def one_line(error: BaseException) -> str:
    """What an exporter raised, cut to what fits into a line."""
    return f"{type(error).__name__}: {brief(error)}"
