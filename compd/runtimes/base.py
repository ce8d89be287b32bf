"""What a runtime is: something that runs a deployed artifact on images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from compd.models.census import Census
from compd.runtimes.batching import Batching

if TYPE_CHECKING:
    from compd.runtimes.files import FileRuntime

__all__ = ["Census", "Runtime"]


class Runtime(Protocol):
    """A model in the runtime that ships it.

    A class that derives from this one has to say ``engine``, ``content_hash`` and ``run``; the rest
    has defaults that say nothing.
    """

    @property
    def engine(self) -> str:
        """Name of the kernels that answer, for reports and fingerprints."""
        ...

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of all numbers that the artifact computes with."""
        ...

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 logits (N, K) on the CPU."""
        ...

    @property
    def name(self) -> str:
        """Of the artifact, for people."""
        return "a torch module"

    @property
    def takes(self) -> str:
        """How it takes images, for people."""
        return "float pixels in 0..1, NCHW, RGB"

    @property
    def facts(self) -> Mapping[str, Any]:
        """What else can change an answer, for fingerprints: versions, threads, optimisation."""
        return {}

    @property
    def census(self) -> Census:
        """The operators that run, by the type that they compute in; empty if it does not tell.

        What only moves or converts numbers is left out.
        """
        return {}

    @property
    def compressed(self) -> tuple[str, ...] | None:
        """What of it is compressed: element types of weights, operators that quantise.

        Empty if nothing is; None if it does not tell.
        """
        return None

    @property
    def steady(self) -> bool:
        """Whether it is known to answer an image the same whatever the batch it comes in."""
        return False

    @property
    def head(self) -> str | None:
        """What makes probabilities of its logits: ``softmax``, ``sigmoid``; None: nobody says."""
        return None

    @property
    def batching(self) -> Batching:
        """How it treats several images in one call; what it is asked for alone is in ``run``."""
        return Batching.ANY

    @property
    def file(self) -> FileRuntime | None:
        """The file that it runs, whose input may be read in several ways; None if it is no file."""
        return None

    def same_as(self, other: Runtime) -> bool:
        """Whether both are one and the same model."""
        return self.content_hash == other.content_hash

    def plain(self) -> Runtime | None:
        """The same with the runtime's optimisation off; None if it cannot be told so."""
        return None
