"""Runtimes of a pair's models by name: its own, other engines of its int8 model, files."""

from __future__ import annotations

from pathlib import Path

from compd.compress.int8 import ENGINES
from compd.errors import SettingError
from compd.files.programs import names_program
from compd.pair.from_files import deployed_as
from compd.pair.pair import Pair
from compd.runtimes import (
    Int8Runtime,
    Overrides,
    Runtime,
    check_engine,
)
from compd.runtimes.converted import saturating
from compd.runtimes.openers import KERNELS
from compd.wording import command

__all__ = ["runtimes_of"]

_OWN = ("original", "deployed", "shadow", "plain", "saturating")


def runtimes_of(
    pair: Pair, names: str | None, overrides: Overrides | None = None
) -> dict[str, Runtime]:
    """Open runtimes by name.

    Args:
        pair: whose models they are.
        names: with commas; ``original``, ``deployed``, ``shadow``, ``plain`` (the deployed file
            without its runtime's optimisation), ``saturating`` (the same as CPUs without VNNI would
            add), an int8 engine of PyTorch, one of the deployed file's runtime (``reference``,
            ``micro``), a file, or a program (``cmd: …``).
        overrides: what files do not say of their inputs and outputs.

    Raises:
        CompdError: if a name is unknown, or the pair has nothing of that kind.
    """
    return {name: _open(pair, name, overrides) for name in (names or "").split(",") if name}


def _open(pair: Pair, name: str, overrides: Overrides | None) -> Runtime:
    if name == "original":
        return pair.reference
    if name == "deployed":
        return pair.deployed
    if name == "shadow":
        return pair.shadow_runtime
    if name == "plain":
        plain = pair.deployed.plain()
        if plain is not None:
            return plain
        raise SettingError(
            "expected a deployed file whose runtime can leave its graph as it is, got "
            f"{pair.deployed.engine}"
        )
    if name == "saturating":
        if pair.deployed.file is None:
            raise SettingError(
                "expected an ONNX file as the deployed model, to emulate saturating sums, got "
                f"{pair.deployed.engine}; export it: {command('export', to='onnx-qdq')}"
            )
        return saturating(pair.deployed.file)
    own = None if pair.deployed.file is None else pair.deployed.file.on_engine(name)
    if own is not None:
        return own
    if name in ENGINES:
        check_engine(pair.spec.compress, name)
        return Int8Runtime(pair.shadow, name)
    if names_program(name) or Path(name).suffix:
        return deployed_as(pair, name, overrides).deployed
    raise SettingError(
        f"{', '.join((*_OWN, *ENGINES, *KERNELS))}, a program (cmd: …) or a file", runtime=name
    )
