"""Tells which JPEGs may be kept as they are: what decides how they look is written in one way only.

Such a picture is written anew segment by segment, its pixels' coefficients as they came. One that is unusual in any way
is decoded and encoded instead; docs/decisions/0012 says why.
"""

import re
from dataclasses import dataclass, field

from services.renewal.pictures.reduced import has_another_face

# A progressive JPEG has about ten scans, each of which a browser goes over when it shows the picture.
MAX_PLAIN_SCANS = 20

_BASELINE, _PROGRESSIVE = 0xC0, 0xC2
_JFIF, _ADOBE = 0xE0, 0xEE
_HUFFMAN, _QUANTISATION, _RESTART, _SCAN = 0xC4, 0xDB, 0xDD, 0xDA
_COEFFICIENTS = 64
_RGB = (82, 71, 66)
# Of the first component (horizontally, vertically), where the others have one sample.
_SAMPLINGS = frozenset({0x11, 0x21, 0x12, 0x22, 0x41})
_RESTARTS = re.compile(rb"\xff([\xd0-\xd7])")
_YCBCR = 1


class _Unusual(Exception):
    pass


def segment(marker: int, body: bytes) -> bytes:
    """Write a segment with its length before it."""
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


@dataclass
class PlainJpeg:
    """Takes the segments of a picture one by one, and gives it in its plain form, if it has one."""

    _written: list[bytes] = field(default_factory=list)
    _colours: dict[int, bytes] = field(default_factory=dict)
    _frame: bytes = b""
    _progressive: bool = False
    # The samples per MCU, and the table of the frame, by the component's id.
    _components: dict[int, tuple[int, int]] = field(default_factory=dict)
    _tables: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _in_force: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _restart: int = 0
    _scans: int = 0
    _unusual: bool = False

    def take(self, marker: int, body: bytes, pixels: bytes) -> None:
        """Take the next segment; `pixels` are those that follow the header of a scan."""
        try:
            self._take(marker, body, pixels)
        except (_Unusual, IndexError):
            self._unusual = True

    def whole(self) -> bytes | None:
        """Give the picture; None if it is not plain."""
        if self._unusual or not self._scans or not self._has_sure_colours():
            return None
        colours = [segment(marker, body) for marker, body in sorted(self._colours.items())]
        found = b"".join([b"\xff\xd8", *colours, *self._written, b"\xff\xd9"])
        return None if has_another_face(found) else found

    def _take(self, marker: int, body: bytes, pixels: bytes) -> None:
        if self._unusual:
            return
        if marker in (_JFIF, _ADOBE):
            _require(not self._frame)
            self._colours.setdefault(marker, body)
        elif marker == _QUANTISATION:
            _require(not self._scans)
            self._take_quantisation(body)
        elif marker == _HUFFMAN:
            self._take_huffman(body)
        elif marker == _RESTART:
            _require(not self._scans and len(body) == 2)
            self._restart = int.from_bytes(body, "big")
        elif marker == _SCAN:
            self._take_scan(body, pixels.rstrip(b"\xff"))
        else:
            _require(marker in (_BASELINE, _PROGRESSIVE))
            self._progressive = marker == _PROGRESSIVE
            self._take_frame(marker, body)

    def _take_quantisation(self, body: bytes) -> None:
        for at in range(0, len(body), 1 + _COEFFICIENTS):
            table = body[at + 1 : at + 1 + _COEFFICIENTS]
            # Of eight bits, and none of them zero.
            _require(body[at] < 4 and len(table) == _COEFFICIENTS and 0 not in table)
            self._tables[_QUANTISATION, body[at]] = table

    def _take_huffman(self, body: bytes) -> None:
        at = 0
        while at < len(body):
            counts = body[at + 1 : at + 17]
            symbols = body[at + 17 : at + 17 + sum(counts)]
            _require(body[at] >> 4 < 2 and body[at] & 15 < 4 and len(counts) == 16)
            _require(0 < len(symbols) == sum(counts) == len(set(symbols)))
            self._tables[_HUFFMAN, body[at]] = counts + symbols
            at += 17 + len(symbols)

    def _take_frame(self, marker: int, body: bytes) -> None:
        count = body[5]
        _require(body[0] == 8 and count in {1, 3})
        places = range(6, 6 + 3 * count, 3)
        self._components = {body[place]: (body[place + 1], body[place + 2]) for place in places}
        first, *others = [sampling for sampling, _ in self._components.values()]
        _require(len(self._components) == count and first in _SAMPLINGS and all(each == 0x11 for each in others))
        self._frame = segment(marker, body[: 6 + 3 * count])

    def _take_scan(self, body: bytes, pixels: bytes) -> None:
        count = body[0]
        first, last, approximation = body[1 + 2 * count : 4 + 2 * count]
        used = [(body[place], body[place + 1]) for place in range(1, 1 + 2 * count, 2)]
        _require(bool(self._frame) and count > 0 and self._scans < MAX_PLAIN_SCANS)
        _require(len({component for component, _ in used}) == count)
        _require(all(component in self._components for component, _ in used))
        if not self._progressive:
            _require(not self._scans and count == len(self._components))
            _require((first, last, approximation) == (0, _COEFFICIENTS - 1, 0))
        if not self._scans:
            self._write(_QUANTISATION, [table for _, table in self._components.values()])
            self._written.append(self._frame)
            if self._restart:
                self._written.append(segment(_RESTART, self._restart.to_bytes(2, "big")))
        needed: set[int] = set()
        if first == 0 and approximation >> 4 == 0:
            needed |= {tables >> 4 for _, tables in used}
        if last > 0:
            needed |= {0x10 | tables & 15 for _, tables in used}
        self._write(_HUFFMAN, sorted(needed))
        self._check_restarts(pixels)
        self._written += [segment(_SCAN, body[: 4 + 2 * count]), pixels]
        self._scans += 1

    def _write(self, marker: int, places: list[int]) -> None:
        """Write those tables at these places that are not in force already."""
        bodies = []
        for place in dict.fromkeys(places):
            table = self._tables.get((marker, place))
            _require(table is not None)
            if table is not None and self._in_force.get((marker, place)) != table:
                self._in_force[marker, place] = table
                bodies.append(bytes((place,)) + table)
        if bodies:
            self._written.append(segment(marker, b"".join(bodies)))

    def _check_restarts(self, pixels: bytes) -> None:
        """Their numbers go round; without an interval there are none."""
        found = _RESTARTS.findall(pixels)
        _require(bool(self._restart) or not found)
        _require(all(each[0] == 0xD0 + place % 8 for place, each in enumerate(found)))

    def _has_sure_colours(self) -> bool:
        """Whether every decoder takes the components for grey, or for brightness and two colours."""
        ids = tuple(self._components)
        adobe = self._colours.get(_ADOBE)
        if len(ids) == 1:
            return True
        if adobe is not None:
            return adobe[-1] == _YCBCR and ids != _RGB
        return ids == (1, 2, 3) or (_JFIF in self._colours and ids != _RGB)


def _require(usual: bool) -> None:
    if not usual:
        raise _Unusual
