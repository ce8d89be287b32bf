"""From a shadow to what ships, by the kind of compression."""

from __future__ import annotations

from functools import singledispatch

import torch
from torch import nn

from compd.compress import COMPRESSIONS, Compression, Given, Prune, Ptq, Qat
from compd.compress.int8 import ENGINES
from compd.errors import SettingError, unknown
from compd.runtimes.base import Runtime
from compd.runtimes.torch_runtimes import FloatRuntime, Int8Runtime
from compd.wording import setting

__all__ = ["check_engine", "deploy"]


def check_engine(config: Compression, engine: str) -> None:
    """Raise unless an int8 engine can run what a configuration makes.

    Raises:
        CompdError: if the engine is unknown, or the compressed model is not int8.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if isinstance(config, Prune | Given) or (isinstance(config, Ptq) and config.weight_bits < 7):
        raise SettingError(
            f"no engine for {config}, whose deployed model has no int8 kernels here",
            engine=engine,
            advice=f"leave {setting('engine')} out",
        )


@singledispatch
def deploy(config: Compression, shadow: nn.Module, *, engine: str, device: torch.device) -> Runtime:
    """Make the deployed model of a shadow.

    Args:
        config: what the shadow was compressed with.
        shadow: the shadow on ``device``.
        engine: int8 engine; pruned models have none and run as they are.
        device: where a float model runs; int8 kernels run on the CPU.
    """
    raise unknown("compress", type(config).__name__, COMPRESSIONS)


@deploy.register
def _(config: Qat, shadow: nn.Module, *, engine: str, device: torch.device) -> Runtime:
    return Int8Runtime(shadow, engine)


@deploy.register
def _(config: Ptq, shadow: nn.Module, *, engine: str, device: torch.device) -> Runtime:
    if config.weight_bits < 7:  # no kernels here: the fake-quantised model itself, and it says so
        return FloatRuntime(shadow, device, f"simulated-w{config.weight_bits}")
    return Int8Runtime(shadow, engine)


@deploy.register
def _(config: Prune, shadow: nn.Module, *, engine: str, device: torch.device) -> Runtime:
    return FloatRuntime(shadow, device, "fp32")
