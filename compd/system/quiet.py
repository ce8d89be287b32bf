"""Converters print each of their steps, log advice and warn of packages that nothing here needs."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet", "unlogged", "without_chatter"]


@contextmanager
def unlogged() -> Iterator[None]:
    """Silence what is logged up to errors: they are raised, too, and told in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what is printed and logged by Python code, but not its exceptions."""
    with (
        unlogged(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def without_chatter(chatter: re.Pattern[bytes]) -> Iterator[None]:
    """Drop what native code prints on standard error and has no setting to be told not to.

    It would stand in the middle of a progress bar. All else that is printed meanwhile, by whatever
    thread, comes out at the end.

    Args:
        chatter: what is dropped.
    """
    try:
        real = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile(buffering=0) as kept, os.fdopen(real, "wb", buffering=0) as back:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(back.fileno(), 2)
            kept.seek(0)
            if said := chatter.sub(b"", kept.read()):
                with contextlib.suppress(OSError):  # nobody reads it any more
                    back.write(said)
