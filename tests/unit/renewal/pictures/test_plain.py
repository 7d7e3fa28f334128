"""What of a JPEG or PNG is kept as it is, and what is decoded and written anew; neither becomes larger."""

import io
import re
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from deploy.synthetic import picture
from services.renewal.pictures.decoding import decode, fingerprint
from services.renewal.pictures.images import normalised, reduce
from services.renewal.pictures.plain import MAX_PLAIN_SCANS
from services.renewal.pictures.reduced import ImageError, has_another_face

PICTURE = picture(480, 320, 7)
END = b"\xff\xd9"


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def stored(data: bytes) -> bytes:
    found = reduce(data)
    return normalised(found, decode(found)).data


def shown(data: bytes) -> bytes:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB").tobytes()


JPEG = encoded(PICTURE, "JPEG")
PIXELS = JPEG[JPEG.index(b"\xff\xda") :]
PROGRESSIVE = encoded(PICTURE, "JPEG", progressive=True)
INTERVALS = encoded(PICTURE, "JPEG", restart_marker_rows=1)


@pytest.mark.parametrize(
    "data",
    [
        JPEG,
        PROGRESSIVE,
        INTERVALS,
        *(encoded(PICTURE, "JPEG", subsampling=each, quality=93) for each in ("4:4:4", "4:2:2", "4:2:0")),
        encoded(PICTURE, "JPEG", optimize=True, quality=30),
        encoded(PICTURE.convert("L"), "JPEG"),
        encoded(PICTURE.convert("L"), "JPEG", progressive=True),
    ],
)
def test_a_jpeg_keeps_every_coefficient(data: bytes) -> None:
    kept = stored(data)
    assert shown(kept) == shown(data)
    assert len(kept) <= len(data)
    assert stored(kept) == kept
    # From the first scan on it is what was sent: only where programs split their tables, those are put together.
    assert kept[kept.rindex(b"\xff\xda") :] == data[data.rindex(b"\xff\xda") :]


@pytest.mark.parametrize(
    "more",
    [
        segment(0xFE, b"a comment"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>"),
        segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(500)),
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM"),
        # Tables that no scan uses, and one that is defined anew before it is used.
        segment(0xDB, b"\3" + b"payload!" * 8),
        segment(0xC4, b"\x13" + bytes((0, 0, 0, 8, *bytes(12))) + b"payl0d!?"),
        segment(0xDB, b"\0" + b"payload!" * 8),
    ],
)
def test_of_a_jpeg_only_what_makes_its_pixels_is_kept(more: bytes) -> None:
    assert stored(JPEG[:2] + more + JPEG[2:]) == stored(JPEG)


SCAN = len(JPEG) - len(PIXELS)
ADOBE = b"Adobe\0\x64\0\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.new("CMYK", (480, 320), (9, 80, 7, 6)), "JPEG"),
        encoded(PICTURE, "JPEG", keep_rgb=True),
        # Colours that decoders do not agree about.
        JPEG[:2] + segment(0xEE, ADOBE + b"\0") + JPEG[2:],
        JPEG[:2] + segment(0xEE, ADOBE + b"\2") + JPEG[2:],
        # Restart markers where there is no interval, and out of their order.
        JPEG[: SCAN + 400] + b"\xff\xd3" + JPEG[SCAN + 400 :],
        INTERVALS.replace(b"\xff\xd1", b"\xff\xd2", 1),
        # Scans that a browser would go over again and again.
        PROGRESSIVE[:-2] + PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2] * MAX_PLAIN_SCANS + END,
        # A table with a symbol twice has room for words.
        JPEG[:SCAN] + segment(0xC4, b"\x13" + bytes((0, 0, 0, 8, *bytes(12))) + b"payload!") + PIXELS,
    ],
    ids=["CMYK", "RGB", "Adobe 0", "Adobe 2", "stray restart", "restart order", "scans", "symbols"],
)
def test_what_is_unusual_is_written_anew(data: bytes) -> None:
    found = reduce(data)
    assert not found.plain
    again = normalised(found, decode(found))
    assert len(again.data) <= len(data)
    assert reduce(again.data).plain


FACES = [
    b"PK\x03\x04" + bytes(26) + b"evil.txt" + b"x" * 40,
    b"PK\x05\x06" + bytes(18),
    b"<?php system($_GET[0]); ?>",
    b"<ScRiPt>alert(1)</script>",
    b"%PDF-1.7\n1 0 obj",
    b"<svg onload=alert(1)>",
]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("place", [SCAN + 600, len(JPEG) - 2])
def test_what_hides_in_the_pixels_of_a_jpeg_does_not_stay(face: bytes, place: int) -> None:
    data = JPEG[:place] + face + JPEG[place:]
    assert has_another_face(data)
    assert not has_another_face(stored(data))


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("put", [lambda stream, face: stream + face, lambda stream, _: stream], ids=["after", "within"])
def test_what_hides_in_the_pixels_of_a_png_does_not_stay(face: bytes, put: Callable[[bytes, bytes], bytes]) -> None:
    rows = b"".join(b"\0" + (face * 30)[: 3 * 320].ljust(3 * 320) for _ in range(320))
    stream = put(zlib.compress(rows, 0), face)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 320, 320, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    assert has_another_face(data)
    assert not has_another_face(stored(data))


def png(colour: int, rows: bytes, *chunks: bytes, more: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 320, 320, 8, colour, 0, 0, 0))
    body = [*chunks, chunk(b"IDAT", zlib.compress(rows) + more), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(body)


ROWS = b"".join(b"\0" + bytes((x + y) % 251 for x in range(320)) for y in range(320))


@pytest.mark.parametrize(
    "data",
    [
        png(0, ROWS),
        png(3, ROWS, chunk(b"PLTE", bytes(range(251)) * 3)),
        encoded(PICTURE, "PNG"),
        encoded(PICTURE.quantize(16), "PNG"),
        encoded(PICTURE.convert("1"), "PNG"),
        encoded(PICTURE.convert("RGBA"), "PNG"),
    ],
)
def test_a_png_keeps_its_rows(data: bytes) -> None:
    parts = re.findall(rb"(?s)IDAT(.*?)....(?=....IDAT|....IEND)", data)
    kept = stored(data)
    assert kept == data[: data.index(b"IDAT") - 4] + chunk(b"IDAT", b"".join(parts)) + chunk(b"IEND", b"")
    assert len(kept) <= len(data)


def test_what_follows_the_rows_of_a_png_is_cut_off() -> None:
    assert stored(png(0, ROWS, more=b"payload" * 9)) == png(0, ROWS)
    assert b"payload" not in zlib.decompress(stored(png(0, ROWS + b"payload" * 9)).partition(b"IDAT")[2][:-16])


def test_a_palette_s_transparency_becomes_white_without_a_change_of_a_row() -> None:
    colours = chunk(b"PLTE", bytes((0, 0, 0, 10, 20, 30, 200, 100, 0)))
    rows = (b"\0" + bytes((0, 1, 2, 2)) * 80) * 320
    kept = stored(png(3, rows, colours, chunk(b"tRNS", bytes((0, 128)))))
    assert kept == png(3, rows, chunk(b"PLTE", bytes((255, 255, 255, 132, 137, 142, 200, 100, 0))))


@pytest.mark.parametrize(
    "data",
    [
        encoded(PICTURE.convert("CMYK"), "JPEG", quality=20),
        encoded(PICTURE.convert("I;16"), "PNG"),
        encoded(PICTURE.convert("LA"), "PNG"),
        encoded(Image.merge("RGBA", (*PICTURE.split(), PICTURE.convert("L"))), "PNG"),
    ],
)
def test_what_is_written_anew_is_no_larger(data: bytes) -> None:
    assert len(stored(data)) <= len(data)


def test_proving_a_jpeg_takes_little_of_what_decoding_it_does() -> None:
    found = reduce(JPEG)
    assert found.plain
    assert found.memory_to_prove < found.memory / 50
    # Whether all of it is there that has no end is seen in all of it only.
    assert reduce(JPEG[:-2]).memory_to_prove == found.memory
    assert stored(JPEG[:-2]) == stored(JPEG)


@settings(max_examples=40)
@given(
    st.sampled_from(["JPEG", "INTERVALS"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=3)), max_size=3),
)
def test_an_eighth_of_a_jpeg_proves_as_much_as_all_of_it(name: str, changes: list[tuple[float, bytes]]) -> None:
    """However its bytes are damaged: what is taken by an eighth would be taken by all of its pixels too."""
    data = {"JPEG": JPEG, "INTERVALS": INTERVALS}[name]
    for where, replacement in changes:
        at = int(where * len(data))
        data = data[:at] + replacement + data[at + len(replacement) :]
    try:
        found = reduce(data)
        decoded = decode(found)
    except ImageError:
        return
    # Else all of it was decoded, and written anew with a loss.
    if decoded.data is None:
        assert fingerprint(reduce(normalised(found, decoded).data)) == fingerprint(found)
