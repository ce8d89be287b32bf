"""Adapters that run deployed artifacts."""

from compd.runtimes.base import Census, Runtime
from compd.runtimes.deploy import check_engine, deploy
from compd.runtimes.files import FileRuntime, open_file
from compd.runtimes.formats import InputFormat, Overrides
from compd.runtimes.openers import Opened, Opener
from compd.runtimes.torch_runtimes import FloatRuntime, Int8Runtime

__all__ = [
    "Census",
    "FileRuntime",
    "FloatRuntime",
    "InputFormat",
    "Int8Runtime",
    "Opened",
    "Opener",
    "Overrides",
    "Runtime",
    "check_engine",
    "deploy",
    "open_file",
]
