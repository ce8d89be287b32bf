"""Fixtures that all tests share: tiny images, tiny data sets, and what an error must look like."""

from __future__ import annotations

import gc
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

# Before the optional package is imported: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
from hypothesis import settings
from torch import Tensor

from compd.cli.wording import as_options
from compd.errors import CompdError
from compd.images import encode_png
from compd.system.machine import cpu_count

pytest_plugins = ["pytester"]

settings.register_profile("compd", deadline=None, derandomize=True, database=None)
settings.load_profile("compd")
# Workers of one test run share the cores: threads that wait for each other's core spin for minutes.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_THREADS = max(1, min(4, cpu_count() // _WORKERS))
os.environ["OMP_NUM_THREADS"] = str(_THREADS)  # for the processes that tests start
torch.set_num_threads(_THREADS)

Refuses = Callable[..., AbstractContextManager[None]]
MakeImages = Callable[..., Tensor]
MakeFolder = Callable[..., Path]
MakeParquet = Callable[..., Path]
MakePng = Callable[..., bytes]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, some to each worker: none begins one of minutes when others are done.

    Those whose marker says so are the slowest: ``slow(6)``, in minutes. ``--dist worksteal`` gives
    each worker one slice of this list, and takes from its end.
    """
    slow = [item for item in items if item.get_closest_marker("slow") is not None]
    slow.sort(key=_minutes, reverse=True)
    rest = iter([item for item in items if item.get_closest_marker("slow") is None])
    ordered: list[pytest.Item] = []
    for worker in range(_WORKERS):
        first = slow[worker::_WORKERS]
        ordered += first
        ordered += islice(rest, max(0, len(items) // _WORKERS - len(first)))
    items[:] = [*ordered, *rest]


def pytest_collection_finish() -> None:
    """Collect garbage less often, and not among the million objects that imports have made."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _minutes(item: pytest.Item) -> float:
    marker = item.get_closest_marker("slow")
    return float(marker.args[0]) if marker is not None and marker.args else 0.0


@contextmanager
def _refuses(*culprits: str, always: bool = True) -> Iterator[None]:
    try:
        yield
    except CompdError as error:
        message = as_options(error.message)  # as the command line says it
    else:
        assert not always, "expected a CompdError"
        return
    assert "\n" not in message
    for culprit in culprits:
        assert culprit in message


def _images(
    n: int = 4, *, channels: int = 3, height: int = 8, width: int | None = None, seed: int = 0
) -> Tensor:
    shape = (n, channels, height, height if width is None else width)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def _png(
    rows: Sequence[bytes], width: int, *, depth: int, colour: int, transparent: bytes = b""
) -> bytes:
    """A PNG written chunk by chunk, for the kinds that Pillow reads and does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", transparent) if transparent else b"")
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


def _folder(
    root: Path, classes: Sequence[str] = ("cat", "dog"), *, each: int = 6, **how: Any
) -> Path:
    """``root/CLASS/NN.png``, all images different."""
    images = iter(_images(each * len(classes), **how))
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            (root / name / f"{i:02}.png").write_bytes(encode_png(next(images)))
    return root


def _parquet(
    file: Path,
    labels: Sequence[Any] = (0, 1, 2) * 4,
    *,
    images: Sequence[Any] | None = None,
    columns: tuple[str, str] = ("img", "label"),
    metadata: dict[bytes, bytes] | None = None,
    **how: Any,
) -> Path:
    """One parquet file in the Hugging Face layout."""
    arrow = pytest.importorskip("pyarrow", reason="needs the extra compd[parquet]")
    parquet = pytest.importorskip("pyarrow.parquet")
    if images is None:
        images = [
            {"bytes": encode_png(image), "path": None} for image in _images(len(labels), **how)
        ]
    table = arrow.table({columns[0]: list(images), columns[1]: list(labels)})
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.replace_schema_metadata(metadata), file)
    return file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for each test."""
    folder = tmp_path / "compd-cache"
    monkeypatch.setenv("COMPD_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def refuses() -> Refuses:
    """``with refuses(culprit, ...)``: the block raises CompdError, in one line that names them.

    With ``always=False`` the block may also succeed.
    """
    return _refuses


@pytest.fixture(scope="session")
def make_images() -> MakeImages:
    """``make_images(n, channels=, height=, width=, seed=)``: random uint8 (N, C, H, W)."""
    return _images


@pytest.fixture(scope="session")
def make_png() -> MakePng:
    """``make_png(rows, width, depth=, colour=, transparent=)``: the bytes of a raw PNG."""
    return _png


@pytest.fixture(scope="session")
def make_folder() -> MakeFolder:
    """``make_folder(root, classes, each=, ...)``: an image folder of random images."""
    return _folder


@pytest.fixture(scope="session")
def make_parquet() -> MakeParquet:
    """``make_parquet(file, labels, images=, columns=, metadata=)``: a file of random images."""
    return _parquet


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order: what is equal on one thread is equal to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
