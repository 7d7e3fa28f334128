"""Reduces a PNG (ISO/IEC 15948) to the chunks that its pixels are made of.

Ancillary chunks (texts, profiles, dates, resolutions) may be as broken as they like: browsers leave out what they
cannot read of them.
"""

import struct
import zlib
from dataclasses import dataclass, field

from services.renewal.pictures.jpeg import without_exif_headers
from services.renewal.pictures.reduced import (
    INCOMPLETE,
    MAX_PARTS,
    UNREADABLE,
    ImageInvalid,
    Reduced,
    check_size,
    has_another_face,
)

MAGIC = b"\x89PNG\r\n\x1a\n"
# Samples per pixel by colour type: grey, colours, palette, grey and transparency, colours and transparency.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
# Starts and steps of the seven passes of an interlaced picture.
_PASSES = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def raw_bytes(self) -> int:
        """How many bytes all rows are before compression, each with its filter's byte."""
        bits = self.depth * _SAMPLES[self.colour]
        passes = _PASSES if self.interlaced else ((0, 1, 0, 1),)
        total = 0
        for left, right, top, down in passes:
            columns = len(range(left, self.width, right))
            rows = len(range(top, self.height, down))
            total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
        return total


@dataclass(frozen=True, slots=True)
class _Chunk:
    """`whole` tells whether all of it is there, `good` whether its checksum is right as well."""

    kind: bytes
    body: bytes
    whole: bool
    good: bool

    @property
    def is_critical(self) -> bool:
        return self.kind[:1].isupper()


@dataclass
class _Picture:
    """What is kept of the chunks so far."""

    header: _Header
    palette: bytes = b""
    transparency: bytes = b""
    exif: bytes = b""
    pixels: list[bytes] = field(default_factory=list)

    def take(self, chunk: _Chunk) -> None:
        """Raises ImageInvalid."""
        if chunk.kind == b"IDAT":
            if chunk.whole and not chunk.good:
                raise ImageInvalid(UNREADABLE)
            self.pixels.append(chunk.body)
        elif chunk.is_critical:
            if chunk.kind != b"PLTE" or not chunk.good:
                raise ImageInvalid(UNREADABLE)
            if self.header.colour == _PALETTE and not self.palette:
                self.palette = chunk.body
        elif chunk.good:
            self._take_ancillary(chunk)

    def _take_ancillary(self, chunk: _Chunk) -> None:
        if chunk.kind == b"eXIf" and not self.exif:
            self.exif = without_exif_headers(chunk.body)
        elif chunk.kind == b"tRNS" and not self.transparency and not self.pixels:
            self.transparency = _transparency(self.header, self.palette, chunk.body)
        elif chunk.kind == b"acTL" and not self.pixels and int.from_bytes(chunk.body[:4], "big") > 1:
            raise ImageInvalid("不支持动图，请上传单张照片")


def reduce(data: bytes) -> Reduced:
    """Read the chunks up to the end of the picture. Raises ImageInvalid."""
    chunks = _chunks(data)
    if not chunks or not chunks[0].whole:
        raise ImageInvalid(INCOMPLETE)
    first, *others = chunks
    header = _header_of(first)
    picture = _Picture(header)
    for chunk in others:
        if chunk.kind != b"IEND":
            picture.take(chunk)
    ended = bool(others) and others[-1].kind == b"IEND"
    if not picture.pixels:
        raise ImageInvalid(UNREADABLE if ended else INCOMPLETE)
    if header.colour == _PALETTE and picture.transparency:
        picture.palette, picture.transparency = _on_white(picture.palette, picture.transparency), b""
    kept = [MAGIC, _written(b"IHDR", first.body)]
    optional = ((b"PLTE", picture.palette), (b"tRNS", picture.transparency))
    kept += [_written(kind, body) for kind, body in optional if body]
    kept += [_written(b"IDAT", b"".join(picture.pixels)), _written(b"IEND", b"")]
    reduced, memory = b"".join(kept), _memory(header)
    plain = ended and header.depth <= 8 and not picture.transparency and not has_another_face(reduced)
    return Reduced(
        "PNG", reduced, header.width, header.height, picture.exif, ended, plain, memory, memory_to_prove=memory
    )


def has_all_pixels(reduced: bytes) -> bool:
    """Tell whether the compressed stream of a reduced PNG holds every row, be it without its own end."""
    return _inflated(reduced).missing <= 0


def without_excess(reduced: bytes) -> bytes | None:
    """Cut off what follows the end of a reduced PNG's compressed stream; None if the stream is not the rows alone."""
    stream = _inflated(reduced)
    if not stream.ended or stream.missing:
        return None
    if not stream.excess:
        return reduced
    *others, pixels, end = _chunks(reduced)
    kept = [_written(chunk.kind, chunk.body) for chunk in others]
    return b"".join([MAGIC, *kept, _written(b"IDAT", pixels.body[: -stream.excess]), _written(b"IEND", end.body)])


@dataclass(frozen=True, slots=True)
class _Stream:
    """`missing` is how many bytes of rows the compressed stream lacks, `excess` how many bytes follow its own end."""

    missing: int
    ended: bool
    excess: int


def _inflated(reduced: bytes) -> _Stream:
    first, *others = _chunks(reduced)
    left = _header_of(first).raw_bytes
    rest = next(chunk.body for chunk in others if chunk.kind == b"IDAT")
    inflate = zlib.decompressobj()
    try:
        # Of more than there may be a byte is enough to know.
        while left >= 0 and (piece := inflate.decompress(rest, min(left + 1, 1 << 20))):
            left, rest = left - len(piece), inflate.unconsumed_tail
    except zlib.error:
        return _Stream(max(left, 1), ended=False, excess=0)
    return _Stream(left, inflate.eof, len(inflate.unused_data))


def _chunks(data: bytes) -> list[_Chunk]:
    """List the chunks up to and with the end of the picture, or as far as they can be told apart.

    Of the last one a part may be missing. Raises ImageInvalid.
    """
    chunks: list[_Chunk] = []
    at = len(MAGIC)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if not kind.isalpha():
            break
        body = data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        whole = len(checksum) == 4
        good = whole and zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(checksum, "big")
        chunks.append(_Chunk(kind, body, whole, good))
        if kind == b"IEND":
            break
        if len(chunks) == MAX_PARTS:
            raise ImageInvalid(UNREADABLE)
        at += 12 + length
    return chunks


def _header_of(chunk: _Chunk) -> _Header:
    if chunk.kind != b"IHDR" or not chunk.good or len(chunk.body) != 13:
        raise ImageInvalid(UNREADABLE)
    width, height, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", chunk.body)
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        raise ImageInvalid(UNREADABLE)
    check_size(width, height)
    return _Header(width, height, depth, colour, bool(interlace))


def _transparency(header: _Header, palette: bytes, body: bytes) -> bytes:
    """Give the chunk as our decoder reads it, a colour by values of eight bits; nothing for one that cannot be."""
    if header.colour == _PALETTE:
        return body if len(body) <= len(palette) // 3 else b""
    if header.colour not in {0, 2} or len(body) != 2 * _SAMPLES[header.colour]:
        return b""
    values = (int.from_bytes(body[place : place + 2], "big") for place in range(0, len(body), 2))
    return b"".join((value * 255 // (2**header.depth - 1) & 255).to_bytes(2, "big") for value in values)


def _on_white(palette: bytes, transparency: bytes) -> bytes:
    """Give a palette of which each colour stands on white."""
    opaque = bytearray(palette)
    for place, alpha in enumerate(transparency):
        for at in range(3 * place, 3 * place + 3):
            opaque[at] = 255 - ((255 - opaque[at]) * alpha + 127) // 255
    return bytes(opaque)


def _written(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _memory(header: _Header) -> int:
    """Estimate what decoding takes at its peak, in bytes: the pixels as they come, and as four bytes each, twice while
    they are turned."""
    own = {0: 2 if header.depth == 16 else 1, 3: 1}.get(header.colour, 4)
    return header.width * header.height * max(own + 4, 8)
