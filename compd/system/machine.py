"""What this machine is: cores it may use, CPU flags, versions."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

__all__ = [
    "GROUP",
    "computes_bfloat16",
    "core_count",
    "cpu_count",
    "cpu_flags",
    "cpu_quota",
    "isa_limits",
    "versions",
]

GROUP = Path("/sys/fs/cgroup")  # of this process, as a container sees it

# Flags that select integer and float kernels; the other hundred say nothing about an answer.
_ISA = (
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_tile",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
)

_LIMITS = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "OV_MAX_CPU_ISA")


def cpu_count() -> int:
    """Cores that this process may use.

    ``OMP_NUM_THREADS`` if it is set, as everywhere in numerical Python; else the affinity mask,
    within the control group's quota.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else core_count()


def core_count() -> int:
    """Cores that this process may use, whatever the environment asks for.

    The affinity mask, as batch systems set it, within the control group's quota.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        count = os.cpu_count() or 1
    quota = cpu_quota()
    return count if quota is None else min(count, quota)


def cpu_quota(group: Path = GROUP) -> int | None:
    """Cores' worth of time that the control group grants, at least 1; None without a limit."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


@cache
def _all_flags() -> frozenset[str]:
    """All flags of this CPU; empty if unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset(found.partition(":")[2].split())


def cpu_flags() -> tuple[str, ...]:
    """CPU flags that can change which int8 or float kernel runs, sorted; empty if unknown."""
    return tuple(sorted(_all_flags() & set(_ISA)))


def computes_bfloat16(device_type: str) -> bool:
    """Whether bfloat16 is fast: on any GPU, and on x86 CPUs with AVX512-BF16 or AMX."""
    native = not _all_flags().isdisjoint({"avx512_bf16", "amx_bf16"})
    return device_type != "cpu" or (native and not isa_limits())


def isa_limits() -> str:
    """Settings that keep libraries from the best kernels of the CPU; empty if there are none."""
    return " ".join(f"{name}={os.environ[name]}" for name in _LIMITS if os.environ.get(name))


@cache
def versions() -> dict[str, str]:
    """Versions of all that takes part in an answer."""
    import numpy
    import PIL
    import torch

    from compd._version import __version__

    return {
        "compd": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "platform": f"{platform.system()}-{platform.machine()}",
    }
