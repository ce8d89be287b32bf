"""Freed memory is kept for the next model call.

The C library gives large blocks back to the system when they are freed, and the system clears
each page when it is handed out again. Models free and take the same gigabytes at each call: on
photographs most of a search's time went into that (``benchmarks/commands.py``).
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_freed_memory", "memory_is_kept"]

_kept = False

# Numbers of <malloc.h>, and what to set: never trim the heap; take blocks of up to a GiB from it
# instead of from the system; grow it by steps of 64 MiB.
_SETTINGS = {-1: -1, -3: 1 << 30, -2: 64 << 20}
# PyTorch then asks for pages of 2 MiB in place of 4 KiB for its tensors: fewer to hand out.
_HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_")


def keep_freed_memory() -> bool:
    """Tell the C library to keep what is freed; call it before the first model.

    Returns:
        Whether it was told: not where the C library is another than glibc, nor where the
        environment has settings of its own (``MALLOC_TRIM_THRESHOLD_`` and the like, or
        ``GLIBC_TUNABLES`` with ``glibc.malloc``).
    """
    global _kept
    if any(name in os.environ for name in _OWN):
        return False
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # TypeError: Windows
        return False
    if not hasattr(library, "gnu_get_libc_version"):  # another C library knows other numbers
        return False
    os.environ.setdefault(_HUGE_PAGES, "1")
    told = [library.mallopt(parameter, value) for parameter, value in _SETTINGS.items()]
    _kept = all(told)
    return _kept


def memory_is_kept() -> bool:
    """Whether :func:`keep_freed_memory` was called in this process, and was heard."""
    return _kept
