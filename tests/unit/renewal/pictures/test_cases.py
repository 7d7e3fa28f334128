"""Pictures that every browser shows, as phones, scanners and programs really write them: the files, and fresh ones."""

import io
import re
import struct
import zlib
from functools import cache
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from deploy import synthetic
from services.renewal.pictures.decoding import decode, fingerprint
from services.renewal.pictures.images import NormalisedImage, normalised, reduce
from services.renewal.pictures.reduced import INCOMPLETE, UNREADABLE, ImageError, ImageInvalid

CASES = Path("tests/cases")
SIDE = 320
ROTATED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


@cache
def normalise(data: bytes) -> NormalisedImage:
    found = reduce(data)
    return normalised(found, decode(found))


def pixels(data: bytes) -> Image.Image:
    """What is stored, as browsers show it."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(normalise(data).data))).convert("RGB")


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


# Other than square, and other in its two halves.
PICTURE = synthetic.picture(480, SIDE, 5)
JPEG = encoded(PICTURE, "JPEG")
PROGRESSIVE = encoded(PICTURE, "JPEG", progressive=True)
# Of few colours, which zlib packs in no time; most of these tests pack one anew.
FLAT = PICTURE.quantize(16).convert("RGB")
PNG = encoded(FLAT, "PNG")


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg_with(*segments: bytes, jpeg: bytes = JPEG) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", right)


def png_with(*chunks: bytes, png: bytes = PNG) -> bytes:
    """The chunks stand behind the header."""
    return png[:33] + b"".join(chunks) + png[33:]


def png_of(depth: int, colour: int, rows: bytes, *chunks: bytes, level: int = 6) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, depth, colour, 0, 0, 0))
    stream = chunk(b"IDAT", zlib.compress(rows, level))
    return PNG[:8] + header + b"".join(chunks) + stream + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("jpg-01-iphone-mpf-two-images.jpg", (640, 400)),
        ("jpg-03-mpo-camera-preview.jpg", (640, 400)),
        ("jpg-04-missing-eoi.jpg", (640, 400)),
        ("jpg-cmyk-adobe.jpg", (640, 400)),
        ("jpg-double-exif-header.jpg", (640, 400)),
        ("jpg-exif-6.jpg", (640, 400)),
        ("jpg-ultrahdr.jpg", (640, 400)),
        ("png-01-uncompressed-with-ff-da-bytes.png", (304, 300)),
        ("png-02-bad-crc-iCCP.png", (640, 400)),
        ("png-02-bad-crc-pHYs.png", (640, 400)),
        ("png-03-ztxt-over-1mib.png", (640, 400)),
        ("png-05-invalid-exif-chunk.png", (640, 400)),
        ("png-06-missing-iend.png", (640, 400)),
        ("png-16bit-grey.png", (512, 400)),
    ],
)
def test_files_that_every_browser_shows(name: str, size: tuple[int, int]) -> None:
    found = normalise((CASES / name).read_bytes())
    assert (found.width, found.height) == size


def test_there_is_no_other_picture_among_the_cases() -> None:
    assert len([path for path in CASES.iterdir() if path.suffix in {".jpg", ".png"}]) == 15


def test_heic_under_a_wrong_name_is_named_and_the_phones_setting_told() -> None:
    with pytest.raises(ImageError, match=r"HEIC.*iPhone.*“相机”→“格式”.*“兼容性最佳”.*华为.*小米.*OPPO") as caught:
        reduce((CASES / "img-08-heic-renamed.jpg").read_bytes())
    assert caught.value.code == "image_type"


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    image = pixels((CASES / "png-16bit-grey.png").read_bytes())
    assert image.getpixel((256, 200)) == (128, 128, 128)


def test_the_colours_of_printing_are_those_that_browsers_show() -> None:
    image = pixels((CASES / "jpg-cmyk-adobe.jpg").read_bytes())
    # Chromium: 241, 241, 236.
    assert image.getpixel((639, 399)) == pytest.approx((241, 241, 236), abs=2)


SECOND = encoded(synthetic.picture(320, 320, 9), "JPEG")


@pytest.mark.parametrize(
    "data",
    [
        encoded(PICTURE, "MPO", save_all=True, append_images=[synthetic.picture(480, SIDE, 6)]),
        JPEG + SECOND,
        JPEG[:-2] + SECOND,
        JPEG + b"\0" * 4000 + SECOND + b"SEFT",
        jpeg_with(segment(0xE2, b"MPF\0II*\0broken")),
        jpeg_with(segment(0xE1, b"http://ns.adobe.com/hdr-gain-map/1.0/\0" + b"<x:xmpmeta>")) + SECOND,
        jpeg_with(segment(0xE1, b"Exif\0\0II*\0" + SECOND[:60000])),
    ],
    ids=["MPO", "second", "second at once", "trailer", "broken MPF", "gain map", "thumbnail"],
)
def test_of_several_pictures_in_a_jpeg_the_first_is_kept(data: bytes) -> None:
    assert fingerprint(reduce(data)) == fingerprint(reduce(JPEG))


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(segment(0xE0, b"JFIF\0\x01")),
        jpeg_with(segment(0xE0, b"")),
        jpeg_with(segment(0xE1, b"Exif\0\0")),
        jpeg_with(segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")),
        jpeg_with(segment(0xE2, b"ICC_PROFILE\0")),
        jpeg_with(*(segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 30)) + bytes(60000)) for n in range(1, 31))),
        jpeg_with(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed")),
        jpeg_with(segment(0xEE, b"Adobe")),
        jpeg_with(segment(0xEE, b"Adobe\0d\0\0\0\0")),
        jpeg_with(b"\xff\xef\0\0"),
        jpeg_with(b"\xff\xef\0\x01"),
        jpeg_with(b"\xff\xff\xff\xff\xfe\0\x06abcd"),
        JPEG[:20] + b"junk between segments" + JPEG[20:],
        jpeg_with(*[segment(0xFE, b"")] * 2000),
        JPEG[:-2],
        JPEG[:-1],
        JPEG[:-2] + b"\0" * 700,
        PROGRESSIVE[:-2],
        encoded(PICTURE, "JPEG", restart_marker_rows=1)[:-2],
    ],
)
def test_a_jpeg_with_all_its_pixels_is_taken_however_broken_the_rest_is(data: bytes) -> None:
    found = normalise(data)
    assert (found.width, found.height) == (480, SIDE)
    difference = pixels(data).getpixel((479, SIDE - 1))
    assert difference == pytest.approx(PICTURE.getpixel((479, SIDE - 1)), abs=40)


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE, encoded(PICTURE, "JPEG", restart_marker_rows=1)])
@pytest.mark.parametrize("lost", [40, 500, 5000])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_jpeg_that_lacks_pixels_is_refused(data: bytes, lost: int, end: bytes) -> None:
    if data is PROGRESSIVE and end:
        # All of the picture is there, only less sharp: nobody can tell that from the file.
        return
    with pytest.raises(ImageInvalid, match=INCOMPLETE):
        normalise(data[: -2 - lost] + end)


def test_a_jpeg_that_ends_before_its_pixels_is_refused() -> None:
    for cut in range(20, JPEG.index(b"\xff\xda") + 12, 7):
        with pytest.raises(ImageInvalid, match=INCOMPLETE):
            normalise(JPEG[:cut])


def test_a_picture_with_grey_in_its_last_corner_is_complete() -> None:
    image = PICTURE.copy()
    image.paste((128, 128, 128), (400, 240, 480, SIDE))
    assert normalise(encoded(image, "JPEG", quality=95)).width == 480


def test_scans_are_counted_in_a_jpeg_only_and_not_in_what_it_carries_along() -> None:
    assert normalise(jpeg_with(segment(0xFE, b"\xff\xda" * 1000))).width == 480
    skin = (b"\0" + b"\xff\xda\xb9" * SIDE) * SIDE
    data = png_of(8, 2, skin, level=0)
    assert data.count(b"\xff\xda") > 1000
    assert normalise(data).width == SIDE


@pytest.mark.parametrize(
    "data",
    [
        *(png_with(chunk(kind, b"x" * 9, checksum=1)) for kind in (b"gAMA", b"cHRM", b"tIME", b"bKGD", b"vpAg")),
        *(png_with(chunk(kind, b"x")) for kind in (b"iCCP", b"zTXt", b"iTXt", b"tRNS", b"gAMA", b"pHYs", b"eXIf")),
        *(png_with(chunk(kind, b"")) for kind in (b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"tRNS", b"acTL", b"fcTL")),
        png_with(chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(3 << 20)))),
        png_with(chunk(b"iCCP", b"name\0\x07" + b"not compressed")),
        png_with(chunk(b"iTXt", b"key\0\1\0\0\0" + zlib.compress(bytes(2 << 20)))),
        png_with(*[chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(1 << 20)))] * 70),
        png_with(chunk(b"tEXt", b"Raw profile type exif\0" + b"not hexadecimal")),
        png_with(chunk(b"eXIf", b"Exif\0\0nothing")),
        png_with(chunk(b"PLTE", b"xyz")),
        PNG[:-12],
        PNG[:-6],
        PNG[:-13],
        PNG[:-16],
        PNG[:-18],
        PNG[:-4] + b"\0\0\0\0",
        PNG + b"whatever follows",
        PNG[:-12] + b"\0\0\0\x08tEXt",
        PNG[:-12] + b"\0\0\0\0\0\0\0\0garbage",
    ],
)
def test_a_png_with_all_its_pixels_is_taken_however_broken_the_rest_is(data: bytes) -> None:
    assert normalise(data).pixel_sha256 == normalise(PNG).pixel_sha256


def interlaced_png(grey: Image.Image) -> bytes:
    passes = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))
    rows = [grey.crop((0, y, grey.width, y + 1)).tobytes() for y in range(grey.height)]
    raw = b"".join(b"\0" + row[left::right] for left, right, top, down in passes for row in rows[top::down])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *grey.size, 8, 0, 0, 0, 1))
    return PNG[:8] + header + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_an_interlaced_png_is_the_same_picture() -> None:
    grey = FLAT.convert("L")
    assert normalise(interlaced_png(grey)).pixel_sha256 == normalise(encoded(grey, "PNG")).pixel_sha256


@pytest.mark.parametrize("lost", [60, 500, 5000])
@pytest.mark.parametrize("end", [b"", chunk(b"IEND", b"")])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_lacks_pixels_is_refused(lost: int, end: bytes, interlaced: bool) -> None:
    data = interlaced_png(FLAT.convert("L")) if interlaced else PNG
    at = data.index(b"IDAT") - 4
    stream = b"".join(match[1] for match in re.finditer(rb"(?s)IDAT(.*?)....(?=....IDAT|....IEND)", data))
    whole = data[:at] + chunk(b"IDAT", stream) + end
    assert normalise(whole).pixel_sha256 == normalise(data).pixel_sha256
    with pytest.raises(ImageInvalid, match=f"{INCOMPLETE}|{UNREADABLE}"):
        normalise(data[:at] + chunk(b"IDAT", stream[:-lost]) + end)


@pytest.mark.parametrize(
    "data",
    [
        PNG[:20],
        PNG[:8] + chunk(b"IHDR", PNG[16:29], checksum=1) + PNG[33:],
        PNG.replace(PNG[-16:-12], b"\0\0\0\0"),
        png_with(chunk(b"ABCD", b"critical")),
        png_with(chunk(b"CgBI", b"\x50\0\x20\x02")),
        png_of(8, 3, (b"\0" + bytes(SIDE)) * SIDE, chunk(b"PLTE", b"xyz", checksum=1)),
        png_of(8, 5, b""),
        png_of(4, 2, b""),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        PNG[:33] + chunk(b"IEND", b""),
    ],
)
def test_what_no_browser_shows_is_refused(data: bytes) -> None:
    with pytest.raises(ImageInvalid, match=f"{INCOMPLETE}|{UNREADABLE}"):
        normalise(data)


def test_pictures_are_turned_as_they_were_held() -> None:
    upright = FLAT.transpose(Image.Transpose.ROTATE_90)
    plain = normalise(encoded(upright, "PNG")).pixel_sha256
    held = encoded(FLAT.transpose(Image.Transpose.ROTATE_180), "PNG")
    for body in (ROTATED, b"Exif\0\0" + ROTATED):
        assert normalise(png_with(chunk(b"eXIf", body), png=held)).pixel_sha256 == plain
    # The first that says it counts, and a broken one does not.
    assert normalise(jpeg_with(segment(0xE1, b"Exif\0\0Exif\0\0" + ROTATED))).width == SIDE
    assert normalise(jpeg_with(segment(0xE1, b"Exif\0\0" + ROTATED), segment(0xE1, b"Exif\0\0II*\0"))).width == SIDE


def test_the_parts_that_decide_about_colours_are_kept() -> None:
    red = Image.new("RGB", (SIDE, SIDE), (200, 30, 60))
    stored_as_they_are = encoded(red, "JPEG", keep_rgb=True)
    assert pixels(stored_as_they_are).getpixel((9, 9)) == pytest.approx((200, 30, 60), abs=3)
    assert pixels(encoded(red, "JPEG")).getpixel((9, 9)) == pytest.approx((200, 30, 60), abs=3)


@pytest.mark.parametrize(
    ("depth", "colour", "row", "transparent", "expected"),
    [
        (1, 0, b"\xf0", b"\0\1", [255, 255, 255, 255, 0, 0, 0, 0]),
        (1, 0, b"\xf0", b"\0\0", [255, 255, 255, 255, 255, 255, 255, 255]),
        (2, 0, b"\x1b\x1b", b"\0\1", [0, 255, 170, 255, 0, 255, 170, 255]),
        (4, 0, b"\x01\x23\x45\x67", b"\0\3", [0, 17, 34, 255, 68, 85, 102, 119]),
        (8, 0, bytes(range(8)), b"\0\5", [0, 1, 2, 3, 4, 255, 6, 7]),
        (16, 0, bytes(range(16)), b"\4\5", [0, 2, 255, 6, 8, 10, 12, 14]),
        (16, 4, b"\x10\x20\xff\xff" * 8, b"", [16] * 8),
        (16, 2, b"\x10\x20" * 24, b"\x10\x20" * 3, [255] * 8),
    ],
)
def test_transparency_of_every_depth_becomes_white(
    depth: int, colour: int, row: bytes, transparent: bytes, expected: list[int]
) -> None:
    rows = (b"\0" + row * (SIDE // 8)) * SIDE
    chunks = [chunk(b"tRNS", transparent)] if transparent else []
    image = pixels(png_of(depth, colour, rows, *chunks))
    found = [image.getpixel((x, 100)) for x in range(8)]
    assert found == [(value, value, value) for value in expected]
