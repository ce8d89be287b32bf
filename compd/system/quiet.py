"""Converters print each of their steps, log advice and warn of packages that nothing here needs."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet", "unlogged"]


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
