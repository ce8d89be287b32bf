"""Freed memory stays with the process."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import ctypes, resource, sys
from compd.system.memory import keep_freed_memory

told = keep_freed_memory() if sys.argv[1] == "keep" else None
c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
size = 300 << 20

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = c.malloc(ctypes.c_size_t(size))
    ctypes.memset(block, 1, size)
    c.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(told, faults())
"""


def run(mode: str, **environment: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-c", FAULTS, mode],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
    )
    return found.stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_a_block_that_was_freed_is_there_again() -> None:
    told, faults = run("keep")
    assert told == "True"
    if tuple(map(int, platform.libc_ver()[1].split("."))) < (2, 35):
        pytest.skip("this glibc takes blocks of that size from the system all the same")
    assert int(faults) < 100
    assert int(run("leave")[1]) > 100  # or there would be nothing to do


@pytest.mark.parametrize(
    "environment",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.top_pad=131072"}],
)
def test_the_environment_has_the_last_word(environment: dict[str, str]) -> None:
    assert run("keep", **environment)[0] == "False"
