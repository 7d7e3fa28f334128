import hashlib
import io
import re
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from deploy import synthetic
from services.renewal.pictures import reduced
from services.renewal.pictures.decoding import decode
from services.renewal.pictures.images import NormalisedImage, normalised, reduce
from services.renewal.pictures.reduced import ImageError, ImageInvalid

SIDE = reduced.MIN_SIDE


def normalise(data: bytes) -> NormalisedImage:
    found = reduce(data)
    return normalised(found, decode(found))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        normalise(data)
    assert re.search("[一-鿿]", caught.value.message)
    return caught.value.code


def opened(found: NormalisedImage) -> Image.Image:
    image = Image.open(io.BytesIO(found.data))
    image.load()
    return image


def small(seed: int = 0) -> Image.Image:
    """Noise in one corner only, which is quick to encode and tells every way of turning from the others."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    image.paste(synthetic.picture(16, 10, seed))
    return image


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_declaring(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def with_comment(jpeg: bytes, size: int) -> bytes:
    """The same JPEG made `size` bytes long by comment segments, which are at most 65535 bytes each."""
    padding = bytearray()
    left = size - len(jpeg)
    while left:
        take = left if left <= 65537 else min(65537, left - 4)
        padding += b"\xff\xfe" + struct.pack(">H", take - 2) + b"c" * (take - 4)
        left -= take
    return jpeg[:2] + bytes(padding) + jpeg[2:]


@pytest.mark.parametrize(
    ("data", "content_type", "extension", "image_format"),
    [(synthetic.jpeg(), "image/jpeg", "jpg", "JPEG"), (synthetic.png(480, 300), "image/png", "png", "PNG")],
)
def test_good_images(data: bytes, content_type: str, extension: str, image_format: str) -> None:
    size = Image.open(io.BytesIO(data)).size
    found = normalise(data)
    assert (found.content_type, found.extension, found.width, found.height) == (content_type, extension, *size)
    assert found.sha256 == hashlib.sha256(found.data).hexdigest()
    image = opened(found)
    assert (image.format, image.mode, image.size) == (image_format, "RGB", size)


def test_result_is_accepted_again() -> None:
    png = normalise(encoded(small(), "PNG"))
    assert normalise(png.data) == png
    assert normalise(normalise(synthetic.jpeg(SIDE, SIDE)).data).width == SIDE


def test_pixel_hash_follows_pixels_not_bytes() -> None:
    image = small()
    plain = normalise(encoded(image, "PNG"))
    copy = normalise(encoded(image, "PNG", compress_level=1))
    turned = normalise(encoded(image.transpose(Image.Transpose.ROTATE_180), "PNG", exif=exif(orientation=3)))
    assert plain.pixel_sha256 == copy.pixel_sha256 == turned.pixel_sha256
    assert normalise(encoded(small(seed=1), "PNG")).pixel_sha256 != plain.pixel_sha256


def test_pixel_hash_knows_the_shape() -> None:
    wide, high = (normalise(encoded(Image.new("RGB", size), "PNG")) for size in ((SIDE * 2, SIDE), (SIDE, SIDE * 2)))
    assert wide.pixel_sha256 != high.pixel_sha256


def exif(orientation: int = 1) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010F] = "CameraMaker"
    gps = data.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (28.0, 41.0, 0.0), "E", (115.0, 53.0, 0.0)
    return data.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_of_exif_nothing_is_left_but_how_the_picture_was_held(orientation: int) -> None:
    held = synthetic.picture(400, SIDE)
    data = encoded(held, "JPEG", exif=exif(orientation), comment=b"CameraMaker")
    assert b"CameraMaker" in data
    found = normalise(data)
    assert (found.width, found.height) == ((400, SIDE) if orientation < 5 else (SIDE, 400))
    assert b"CameraMaker" not in found.data
    assert dict(opened(found).getexif()) == ({} if orientation == 1 else {0x0112: orientation})
    upright = ImageOps.exif_transpose(opened(found))
    assert upright.size == (found.width, found.height)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert upright.tobytes() == expected.tobytes()
    # Turned once, it stays as it is.
    assert normalise(found.data) == found


def test_metadata_of_png_is_gone() -> None:
    info = PngInfo()
    info.add_text("Author", "somebody")
    data = encoded(small(), "PNG", exif=exif(), pnginfo=info, icc_profile=b"profile" * 9, dpi=(300, 300))
    found = normalise(data)
    kinds = re.findall(rb"IHDR|IDAT|IEND|eXIf|tEXt|zTXt|iTXt|iCCP|pHYs|tIME|tRNS|gAMA", found.data)
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
    assert not opened(found).info


def test_polyglots_lose_their_second_face() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("evil.txt", "payload")
    for data in (encoded(small(), "JPEG"), encoded(small(), "PNG")):
        both = data + archive.getvalue()
        assert zipfile.is_zipfile(io.BytesIO(both))
        found = normalise(both)
        assert not zipfile.is_zipfile(io.BytesIO(found.data))
        assert b"payload" not in found.data
        assert found.pixel_sha256 == normalise(data).pixel_sha256


@pytest.mark.parametrize(
    ("image", "image_format", "expected"),
    [
        (Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)), "JPEG", (254, 0, 0)),
        (Image.new("L", (SIDE, SIDE), 77), "JPEG", (77, 77, 77)),
        (Image.new("L", (SIDE, SIDE), 77), "PNG", (77, 77, 77)),
        (Image.new("1", (SIDE, SIDE), 1), "PNG", (255, 255, 255)),
        (Image.new("I;16", (SIDE, SIDE), 0x8000), "PNG", (128, 128, 128)),
        (Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255)), "PNG", (0, 0, 0)),
        (Image.new("LA", (SIDE, SIDE), (0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGB", (SIDE, SIDE), (1, 2, 3)).quantize(), "PNG", (1, 2, 3)),
    ],
)
def test_colour_modes(image: Image.Image, image_format: str, expected: tuple[int, int, int]) -> None:
    stored = opened(normalise(encoded(image, image_format)))
    assert not stored.has_transparency_data or stored.getchannel("A").getextrema() == (255, 255)
    stored = stored.convert("RGB")
    pixel = stored.getpixel((SIDE // 2, SIDE // 2))
    assert pixel == pytest.approx(expected, abs=2)


def test_transparent_palette_becomes_white() -> None:
    image = Image.new("P", (SIDE, SIDE), 0)
    image.putpalette([9, 9, 9])
    stored = opened(normalise(encoded(image, "PNG", transparency=0)))
    assert stored.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def animated(image_format: str) -> bytes:
    return encoded(small(), image_format, save_all=True, append_images=[small(seed=1)])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "image_invalid"),
        (b"x", "image_type"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image_type"),
        (encoded(small(), "GIF"), "image_type"),
        (encoded(small(), "WEBP"), "image_type"),
        (encoded(small(), "TIFF"), "image_type"),
        (b"%PDF-1.7", "image_type"),
        (b"\xff\xd8\xff", "image_invalid"),
        (b"\x89PNG\r\n\x1a\n", "image_invalid"),
        (synthetic.jpeg()[:-2000], "image_invalid"),
        (synthetic.png(SIDE, SIDE)[:-2000], "image_invalid"),
        (png_declaring(SIDE, SIDE), "image_invalid"),
        (synthetic.jpeg()[:-2000] + b"\xff\xd9", "image_invalid"),
        (animated("PNG"), "image_invalid"),
        (synthetic.png(SIDE - 1, 2 * SIDE), "image_invalid"),
        (synthetic.png(2 * SIDE, SIDE - 1), "image_invalid"),
    ],
)
def test_refusals(data: bytes, code: str) -> None:
    assert refusal(data) == code


@pytest.mark.parametrize("size", [(50_000, 50_000), (5001, 5000), (6000, 5000), (8000, 5000)])
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageInvalid, match="2500万像素"):
        normalise(png_declaring(*size))


def test_declared_pixels_within_the_limit_are_missing() -> None:
    with pytest.raises(ImageInvalid, match="损坏"):
        normalise(png_declaring(5000, 5000))


@pytest.mark.parametrize("beyond", [-1, 0])
def test_up_to_five_mebibytes(beyond: int) -> None:
    data = with_comment(synthetic.jpeg(SIDE, SIDE), reduced.MAX_BYTES + beyond)
    assert len(data) == reduced.MAX_BYTES + beyond
    assert len(normalise(data).data) < 100_000


def test_over_five_mebibytes() -> None:
    assert refusal(with_comment(synthetic.jpeg(SIDE, SIDE), reduced.MAX_BYTES + 1)) == "image_too_large"


def test_endless_scans_are_refused() -> None:
    data = encoded(small(), "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    assert normalise(data[:-2] + last_scan * 20 + data[-2:]).width == SIDE
    assert refusal(data[:-2] + last_scan * 200 + data[-2:]) == "image_invalid"


def test_smallest_side() -> None:
    assert normalise(encoded(small(), "PNG")).width == SIDE


def normalise_or_refuse(data: bytes) -> None:
    try:
        normalise(data)
    except ImageError:
        return


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", png_declaring(400, 400)[:40]])
)
def test_random_bytes(data: bytes, prefix: bytes) -> None:
    normalise_or_refuse(prefix + data)


SAMPLES = [
    encoded(small(), "JPEG", exif=exif(6), progressive=True),
    encoded(small().quantize(), "PNG", exif=exif(6), transparency=0),
    animated("MPO"),
    animated("PNG"),
]


@settings(max_examples=50)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    st.booleans(),
)
def test_mutated_images(data: bytes, changes: list[tuple[float, bytes]], in_header: bool) -> None:
    for where, replacement in changes:
        at = int(where * (min(700, len(data)) if in_header else len(data)))
        data = data[:at] + replacement + data[at + len(replacement) :]
    normalise_or_refuse(data)
