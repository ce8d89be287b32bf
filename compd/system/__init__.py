"""The machine: what it is, and how this process shares it with others.

:func:`prepare` sets up a process that runs models. The command line, the pytest plugin and the
benchmarks call it; whoever uses compd as a library may, too.
"""

from __future__ import annotations

from compd.errors import SettingError
from compd.system.machine import core_count, cpu_count
from compd.system.memory import keep_freed_memory
from compd.system.threads import throttle_spinning

__all__ = ["check_threads", "prepare", "use_threads"]


def prepare(threads: int | None = None) -> None:
    """Set up this process for models: threads, how they wait, and memory.

    Only the number of threads can change an answer (in the last bit). What the environment says of
    waiting (``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT``) and of memory (``MALLOC_…_``,
    ``GLIBC_TUNABLES``) is left as it is.

    Args:
        threads: of PyTorch's operators, at most as many as cores that we may use; None: all of
            these, or ``OMP_NUM_THREADS``.

    Raises:
        CompdError: if the number makes no sense.
    """
    if threads is not None:
        check_threads(threads)
    use_threads(threads or cpu_count())


def check_threads(threads: int) -> None:
    """Raise unless this process may use so many cores."""
    cores = core_count()
    if not 1 <= threads <= cores:
        raise SettingError(
            f"threads in 1..{cores}, the cores that this process may use", threads=threads
        )


def use_threads(threads: int) -> None:
    """Set up this process as :func:`prepare` does, with as many threads as somebody has chosen."""
    keep_freed_memory()
    import torch

    torch.set_num_threads(threads)
    throttle_spinning(threads)
