"""The machine: what it is, and how this process shares it with others.

:func:`prepare` sets up a process that runs models. The command line, the pytest plugin and the
benchmarks call it; whoever uses compd as a library may, too.
"""

from __future__ import annotations

from compd.errors import SettingError
from compd.system.machine import cpu_count
from compd.system.memory import keep_freed_memory
from compd.system.threads import throttle_spinning

__all__ = ["prepare"]

_MOST_THREADS = 1024


def prepare(threads: int | None = None) -> None:
    """Set up this process for models: threads, how they wait, and memory.

    Only the number of threads can change an answer (in the last bit). What the environment says of
    waiting (``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT``) and of memory (``MALLOC_…_``,
    ``GLIBC_TUNABLES``) is left as it is.

    Args:
        threads: of PyTorch's operators, 1..1024; None: as many as cores that we may use.

    Raises:
        CompdError: if the number makes no sense.
    """
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise SettingError(f"threads in 1..{_MOST_THREADS}", threads=threads)
    keep_freed_memory()
    import torch

    torch.set_num_threads(threads or cpu_count())
    throttle_spinning(threads or cpu_count())
