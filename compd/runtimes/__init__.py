"""Adapters that run deployed artifacts."""

from compd.runtimes.base import Runtime
from compd.runtimes.deploy import check_engine, deploy
from compd.runtimes.torch_runtimes import FloatRuntime, Int8Runtime

__all__ = ["FloatRuntime", "Int8Runtime", "Runtime", "check_engine", "deploy"]
