"""Weights as PyTorch writes them: a zip with a restricted pickle, of which nothing may be run."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator

import torch

from targets.contract import scratch
from targets.safetensors_file import check_weights, network

__all__ = ["WORDS", "entry", "mutate", "seeds"]

WORDS = (
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"archive/data.pkl",
    b"archive/data/0",
    b"archive/version",
    b"archive/byteorder",
    b"little",
    b"state_dict",
    b"model_state_dict",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"X\x04\x00\x00\x00",
    b"\x80\x02",
    b"(t",
    b"R",
    b"Q",
    b"q\x00",
    b"h\x00",
    b"}",
    b")",
    b"u.",
    b".",
)


def seeds() -> Iterator[bytes]:
    """State dicts, plain and wrapped, and things that are none."""
    state = network().state_dict()
    tensor = torch.arange(6.0).reshape(2, 3)
    for content in (
        state,
        {"epoch": 3, "state_dict": {f"module.{key}": v for key, v in state.items()}},
        {"model": {"net": {"x": tensor[:, 1]}}},
        {"x": tensor.half(), "y": torch.tensor(True)},
        [tensor],
        {"x": torch.nn.Parameter(tensor)},
        {"x": tensor.to_sparse()},
        {"x": torch.empty(2, 3, device="meta")},
        {"x": tensor[:1].expand(10**6, 3)},
    ):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        yield buffer.getvalue()
    buffer = io.BytesIO()
    torch.save({"x": tensor}, buffer, _use_new_zipfile_serialization=False)
    yield buffer.getvalue()


def mutate(data: bytes, most: int, seed: int) -> bytes | None:
    """Change a member of the zip, mostly the pickle, and put the checksums right."""
    draw = random.Random(seed)
    if draw.random() < 0.15:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()[:32]}
    except Exception:  # of damaged zips the library raises half a dozen kinds
        return None
    if not members:
        return None
    names = list(members)
    pickles = [name for name in names if name.endswith("data.pkl")]
    name = draw.choice(pickles if pickles and draw.random() < 0.8 else names)
    changed = bytearray(members[name])
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(changed) + 1)
        what = draw.randrange(4)
        if what == 0 and at < len(changed):
            changed[at] = draw.randrange(256)
        elif what == 1:
            del changed[at : at + draw.choice((1, 2, 8))]
        elif what == 2:
            changed[at:at] = draw.choice(WORDS)
        else:
            start = draw.randrange(len(changed) + 1)
            changed[at:at] = changed[start : start + draw.randrange(1, 40)]
    members[name] = bytes(changed)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, content in members.items():
            archive.writestr(zipfile.ZipInfo(key), content)
    return buffer.getvalue()[:most]


def entry(data: bytes) -> None:
    """Read the file and load it into the network."""
    path = scratch() / "weights.pt"
    path.write_bytes(data)
    check_weights(path)
