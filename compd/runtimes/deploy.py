"""From a shadow to what ships, by the kind of compression."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from compd.compress import COMPRESSIONS, Given
from compd.compress.int8 import ENGINES
from compd.errors import SettingError, unknown
from compd.runtimes.base import Runtime
from compd.runtimes.torch_runtimes import FloatRuntime, Int8Runtime
from compd.wording import setting

__all__ = ["check_engine", "deploy"]


def check_engine(config: Any, engine: str) -> None:
    """Raise unless an int8 engine can run what a configuration makes.

    Raises:
        SettingError: if the engine is unknown, or the compressed model is not int8.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if isinstance(config, Given) or not COMPRESSIONS.of(config).int8(config):
        raise SettingError(
            f"no engine for {config}, whose deployed model has no int8 kernels here",
            engine=engine,
            advice=f"leave {setting('engine')} out",
        )


def deploy(config: Any, shadow: nn.Module, *, engine: str, device: torch.device) -> Runtime:
    """Make the deployed model of a shadow.

    Args:
        config: what the shadow was compressed with.
        shadow: the shadow on ``device``.
        engine: int8 engine; pruned models have none and run as they are.
        device: where a float model runs; int8 kernels run on the CPU.
    """
    family = COMPRESSIONS.of(config)
    if family.deploy is not None:
        made: Runtime = family.deploy(config, shadow, engine, device)
        return made
    if family.int8(config):
        return Int8Runtime(shadow, engine)
    return FloatRuntime(shadow, device, family.engine(config))
