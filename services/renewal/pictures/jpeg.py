"""Reduces a JPEG (ITU T.81) to the segments that its first picture is made of.

What else there is (second pictures, gain maps, profiles, texts, whatever follows the end) may be as broken as it likes:
browsers do not look at it either.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.renewal.pictures.plain import PlainJpeg
from services.renewal.pictures.plain import segment as written
from services.renewal.pictures.reduced import (
    INCOMPLETE,
    MAX_PARTS,
    UNREADABLE,
    ImageInvalid,
    Reduced,
    check_size,
)

MAGIC = b"\xff\xd8\xff"
END = b"\xff\xd9"
# A progressive JPEG has about ten scans; a hostile one fits a hundred thousand into its bytes, 20 ms of decoding each.
MAX_SCANS = 128

# The least of a JPEG that is decoded to prove that it is one: a pixel for every block of eight by eight.
EIGHTH = 8

# A marker, whatever fills the place before it. Within pixels FF 00 is a value, and FF D0 to D7 belong to them as well.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_AFTER_PIXELS = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Huffman and quantisation tables, arithmetic conditioning, restart interval.
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# They decide which colours the components are. Written anew: as they came they may be too short.
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_JFIF_HEADER = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
_ADOBE_LENGTH = 12
_EXIF_HEADER = b"Exif\0\0"


@dataclass
class _Frame:
    width: int
    height: int
    progressive: bool
    # By component: the share of the largest one's samples that it has, and the coefficients that are final already.
    shares: dict[int, float] = field(default_factory=dict)
    final: dict[int, set[int]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        return all(len(coefficients) == 64 for coefficients in self.final.values())


@dataclass(frozen=True, slots=True)
class _Segment:
    """`pixels` is what follows the header of a scan."""

    marker: int
    body: bytes
    pixels: bytes = b""


@dataclass
class _Picture:
    """What is kept of the segments so far; a `frame` comes before any of its `scans`."""

    kept: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    exif: bytes = b""
    frame: _Frame | None = None
    scans: int = 0
    plain: PlainJpeg = field(default_factory=PlainJpeg)

    def take(self, segment: _Segment) -> None:
        """Raises ImageInvalid."""
        marker, body = segment.marker, segment.body
        if marker in _TABLES:
            self._keep(marker, body)
        elif marker in _FRAMES:
            if self.frame is not None:
                raise ImageInvalid(UNREADABLE)
            self.frame = _frame_of(marker, body)
            self._keep(marker, body)
        elif marker == _SCAN:
            self.scans += 1
            if self.frame is None or self.scans > MAX_SCANS:
                raise ImageInvalid(UNREADABLE)
            _note_scan(self.frame, body)
            self._keep(marker, body, segment.pixels)
        elif marker == _JFIF and body.startswith(b"JFIF\0") and len(body) >= len(_JFIF_HEADER):
            self._keep(marker, _JFIF_HEADER)
        elif marker == _ADOBE and body.startswith(b"Adobe") and len(body) >= _ADOBE_LENGTH:
            self._keep(marker, body[:_ADOBE_LENGTH])
        elif marker == _EXIF and body.startswith(_EXIF_HEADER) and not self.exif:
            self.exif = without_exif_headers(body)

    def _keep(self, marker: int, body: bytes, pixels: bytes = b"") -> None:
        self.kept += [written(marker, body), pixels]
        self.plain.take(marker, body, pixels)


def reduce(data: bytes) -> Reduced:
    """Read the segments up to the first end of picture. Raises ImageInvalid."""
    picture = _Picture()
    ended = False
    for segment in _segments(data):
        ended = segment.marker == _END
        picture.take(segment)
    frame = picture.frame
    if frame is None or not picture.scans:
        raise ImageInvalid(UNREADABLE if ended or len(picture.kept) == 1 else INCOMPLETE)
    if not ended and not frame.is_whole:
        raise ImageInvalid(INCOMPLETE)
    plain = picture.plain.whole()
    return Reduced(
        "JPEG",
        plain or b"".join(picture.kept).rstrip(b"\xff") + END,
        frame.width,
        frame.height,
        picture.exif,
        ended,
        plain is not None,
        memory=_memory(frame, picture.scans),
        # Whether a picture is whole that is not ended is not to be seen in an eighth of it.
        memory_to_prove=_memory(frame, picture.scans, EIGHTH if plain and ended else 1),
    )


def with_orientation(data: bytes, orientation: int) -> bytes:
    """Say in a plain picture how it was held (Exif, tag 0x0112), and nothing else."""
    entry = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = written(_EXIF, _EXIF_HEADER + b"MM\0*\0\0\0\x08" + entry)
    at = 4 + int.from_bytes(data[4:6], "big") if data[3] == _JFIF else 2
    return data[:at] + exif + data[at:]


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield segments up to and with the end of the picture, or as far as they are whole."""
    at = 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None:
            return
        marker, at = found[1][0], found.end()
        if marker == _END:
            yield _Segment(marker, b"")
            return
        if marker in _ALONE:
            continue
        if marker == _START:
            # The next picture begins where this one was not ended.
            return
        # What says that it is too short to hold even its own length is empty.
        length = max(2, int.from_bytes(data[at : at + 2], "big"))
        if at + length > len(data):
            return
        body = data[at + 2 : at + length]
        at = end = at + length
        if marker == _SCAN:
            following = _AFTER_PIXELS.search(data, at)
            end = following.start() if following else len(data)
        yield _Segment(marker, body, data[at:end])
        at = end
    raise ImageInvalid(UNREADABLE)


def without_exif_headers(body: bytes) -> bytes:
    """Cut off what stands before the TIFF structure; some programs write it twice."""
    while body.startswith(_EXIF_HEADER):
        body = body[len(_EXIF_HEADER) :]
    return body


def _frame_of(marker: int, body: bytes) -> _Frame:
    components = body[5] if len(body) > 5 else 0
    if not components or len(body) < 6 + 3 * components:
        raise ImageInvalid(UNREADABLE)
    frame = _Frame(int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big"), marker in _PROGRESSIVE)
    check_size(frame.width, frame.height)
    sampling = {}
    for place in range(6, 6 + 3 * components, 3):
        sampling[body[place]] = (body[place + 1] >> 4) * (body[place + 1] & 15)
    largest = max(sampling.values())
    if not min(sampling.values()):
        raise ImageInvalid(UNREADABLE)
    frame.shares = {component: samples / largest for component, samples in sampling.items()}
    frame.final = {component: set() for component in sampling}
    return frame


def _note_scan(frame: _Frame, body: bytes) -> None:
    """Note which coefficients of which components are final after the scan of this header (T.81, B.2.3)."""
    components = body[0] if body else 0
    if len(body) < 4 + 2 * components:
        raise ImageInvalid(UNREADABLE)
    first, last, approximation = body[1 + 2 * components : 4 + 2 * components]
    if approximation & 15:
        return
    # The decoder takes a sequential scan for a whole one, whatever its header says.
    done = range(first, min(last, 63) + 1) if frame.progressive else range(64)
    for place in range(1, 1 + 2 * components, 2):
        frame.final.get(body[place], set()).update(done)


def _memory(frame: _Frame, scans: int, scale: int = 1) -> int:
    """Estimate what decoding takes at its peak, in bytes, to one pixel of `scale` in each direction.

    Pixels take four bytes each, twice while they are turned or change their colours. The coefficients, two bytes each,
    are kept beside the first of these where they come in several scans.
    """
    pixels = frame.width * frame.height
    coefficients = 2 * sum(frame.shares.values()) if frame.progressive or scans > 1 else 0
    return int(pixels * max(4 / scale**2 + coefficients, 8 / scale**2))
