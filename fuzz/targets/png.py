"""Pictures of a corpus: 8-bit grey or RGB PNG, and nothing else."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

from compd.corpus.store import MOST_PIXELS
from compd.images import decode_png, encode_png, pixel_hash
from targets.contract import Broken, only_compd_errors
from targets.examples import image_of

__all__ = ["WORDS", "chunks_of", "entry", "mutate", "png_of", "seeds"]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_KINDS = (
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"IEND",
    b"tRNS",
    b"gAMA",
    b"cHRM",
    b"sRGB",
    b"iCCP",
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"eXIf",
    b"pHYs",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"sBIT",
)
WORDS = (
    _MAGIC,
    *_KINDS,
    b"GIF89a",
    b"\xff\xd8\xff\xe0",
    b"%!PS-Adobe-3.0 EPSF-3.0",
    b"BM",
    b"II*\0",
)


def seeds() -> Iterator[bytes]:
    """Grey and RGB, and kinds that are refused: palette, alpha, 16 bits, interlaced, text."""
    yield encode_png(image_of(0))
    yield encode_png(image_of(1, channels=1))
    chunks = chunks_of(encode_png(image_of(2)))
    for depth, colour, interlaced in ((1, 0, 0), (8, 3, 0), (8, 6, 1), (16, 2, 0), (16, 0, 1)):
        header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, interlaced)
        palette = [(b"PLTE", bytes(range(48)))] if colour == 3 else []
        rows = (b"IDAT", zlib.compress(bytes(8 * 70)))
        yield png_of([(b"IHDR", header), *palette, rows, (b"IEND", b"")])
    yield png_of([*chunks[:1], (b"zTXt", b"k\0\0" + zlib.compress(b"x" * 500)), *chunks[1:]])
    yield png_of([*chunks[:1], (b"iCCP", b"k\0\0" + zlib.compress(b"x" * 500)), *chunks[1:]])


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each chunk, as far as they can be told apart."""
    found, at = [], len(_MAGIC)
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A file of these chunks, with lengths and checksums that are right."""
    parts = [
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    ]
    return _MAGIC + b"".join(parts)


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change chunks, or what is compressed in them, and put the checksums right."""
    draw = random.Random(seed)
    chunks = chunks_of(data)
    if not chunks:
        return next(seeds())[:most]
    at = draw.randrange(len(chunks))
    kind, content = chunks[at]
    what = draw.randrange(8)
    if what == 0:
        chunks.insert(at, chunks[draw.randrange(len(chunks))])
    elif what == 1:
        del chunks[at]
    elif what == 2:
        chunks[at] = (draw.choice(_KINDS), content)
    elif what == 3:
        chunks.insert(at, (draw.choice(_KINDS), draw.randbytes(draw.choice((0, 1, 4, 13, 60)))))
    elif what == 4 and kind == b"IHDR" and len(content) == 13:
        sides = [draw.choice((0, 1, 8, 9, 255, 40_000, 2**24, 2**31 - 1, 2**32 - 1)) for _ in "wh"]
        chunks[at] = (kind, struct.pack(">II", *sides) + content[8:])
    elif kind == b"IDAT" and draw.random() < 0.7:
        try:
            rows = zlib.decompress(content)
        except zlib.error:
            rows = content
        chunks[at] = (kind, zlib.compress(_stirred(rows, draw)))
    else:
        chunks[at] = (kind, _stirred(content, draw))
    return png_of(chunks)[:most]


def _stirred(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(changed) + 1)
        if draw.random() < 0.6 and at < len(changed):
            changed[at] = draw.randrange(256)
        elif draw.random() < 0.5:
            del changed[at : at + draw.choice((1, 2, 9))]
        else:
            changed[at:at] = draw.randbytes(draw.choice((1, 2, 9, 400)))
    return bytes(changed)


def entry(data: bytes) -> None:
    """Decode; what is accepted survives a round trip."""
    with only_compd_errors():
        image = decode_png(data, most_pixels=MOST_PIXELS)
        if pixel_hash(decode_png(encode_png(image))) != pixel_hash(image):
            raise Broken("other pixels came back")
