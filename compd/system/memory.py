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

# Numbers of <malloc.h>: the size from which on blocks are taken from the system and go back to it
# (a GiB; glibc before 2.35 takes no more than 32 MiB), how much at the end of the heap may stay
# unused (all), and by how much the heap grows (64 MiB). Any of them ends what glibc does by itself,
# so the first has to be accepted before the others are set.
_THRESHOLD, _SIZES = -3, (1 << 30, 32 << 20)
_OTHERS = {-1: -1, -2: 64 << 20}
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
    _kept = any(library.mallopt(_THRESHOLD, size) for size in _SIZES)
    if _kept:
        for parameter, value in _OTHERS.items():
            library.mallopt(parameter, value)
    return _kept


def memory_is_kept() -> bool:
    """Whether :func:`keep_freed_memory` was called in this process, and was heard."""
    return _kept
