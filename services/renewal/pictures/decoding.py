"""Proves a reduced picture to be one, and keeps it as it is or writes it anew, in a process of its own."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import PIL.ImageOps
import PIL.TiffImagePlugin  # noqa: F401
from PIL import ExifTags, Image, ImageFile

from services.renewal.pictures import jpeg, png
from services.renewal.pictures.reduced import INCOMPLETE, MAX_PIXELS, UNREADABLE, ImageInvalid, Reduced

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Now, and not in each of the processes that are copies of one that has imported this module: the plugins, and (above)
# what Pillow imports when it first opens a picture and reads of its orientation.
Image.preinit()

# Rows that are worked on at a time where a whole copy of the picture would be large.
_ROWS = 256
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The first of the orientations whose width is the upright picture's height.
_ON_ITS_SIDE = 5
# What the hash of a picture's eighth begins with.
EIGHTH_OF = "eighth:"
# Tried one after the other, each with the sharpness of its colours, until the picture is no larger than it came.
_QUALITIES = ((90, "4:4:4"), (90, "4:2:0"), (80, "4:2:0"), (70, "4:2:0"), (60, "4:2:0"), (50, "4:2:0"))
# What a decoder makes of pixels that are not there is this grey; of what follows them, if they are there, nothing.
_MISSING = (128, 128, 128)
_AFTER_THE_LAST_PIXEL = (b"\x55" * 4096, b"\xaa" * 4096)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is to be stored of a reduced picture: `data`, or, None, what it was reduced to, held as `orientation` says.

    `width` and `height` are those of the picture upright. `pixel_sha256` is equal for two uploads of one picture: it is
    that of the upright upload's size and RGB pixels, or, marked as such, of as much of them as proved it a picture:
    then `of_an_eighth`.
    """

    data: bytes | None
    orientation: int
    width: int
    height: int
    pixel_sha256: str


def of_an_eighth(pixel_sha256: str) -> bool:
    """Tell whether it is the hash of as much of a picture as proved it one, which others do not compare with."""
    return pixel_sha256.startswith(EIGHTH_OF)


def decode(reduced: Reduced) -> Decoded:
    """Prove it a picture and have it kept as it is, if that may be; else decode it, turn it upright and write it anew.

    Raises ImageInvalid.
    """
    with _hostile():
        orientation = _orientation(reduced.exif)
        if reduced.plain and reduced.kind == "JPEG":
            return _kept_jpeg(reduced, orientation)
        pixels = _complete_pixels(reduced)
        if reduced.plain and orientation == 1 and _is_opaque(reduced.data):
            data = png.without_excess(reduced.data)
            if data is not None:
                return Decoded(None if data == reduced.data else data, 1, *pixels.size, _fingerprint(pixels))
        pixels = _turned(pixels, orientation)
        return Decoded(_encoded(pixels, reduced), 1, *pixels.size, _fingerprint(pixels))


def fingerprint(reduced: Reduced) -> str:
    """Give the hash of the upright picture's size and RGB pixels. Raises ImageInvalid."""
    with _hostile():
        return _fingerprint(_turned(_complete_pixels(reduced), _orientation(reduced.exif)))


def upright(reduced: Reduced) -> bytes:
    """Write a JPEG anew with its pixels turned upright. Raises ImageInvalid."""
    with _hostile():
        return _encoded(_turned(_complete_pixels(reduced), _orientation(reduced.exif)), reduced)


@contextmanager
def _hostile() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    except ImageInvalid:
        raise
    except Exception:  # decoders answer hostile bytes with almost any exception
        raise ImageInvalid(UNREADABLE) from None


def _kept_jpeg(reduced: Reduced, orientation: int) -> Decoded:
    if not reduced.ended:
        _complete_pixels(reduced)
    pixels = _complete_pixels(reduced, jpeg.EIGHTH)
    size = (reduced.width, reduced.height) if orientation < _ON_ITS_SIDE else (reduced.height, reduced.width)
    return Decoded(None, orientation, *size, EIGHTH_OF + _fingerprint(_turned(pixels, orientation), size))


def _complete_pixels(reduced: Reduced, scale: int = 1) -> Image.Image:
    """Decode to RGB, of a JPEG one pixel of `scale` in each direction."""
    if reduced.kind == "PNG":
        if not reduced.ended:
            if not png.has_all_pixels(reduced.data):
                raise ImageInvalid(INCOMPLETE)
            # All that may be missing now is the end of the stream.
            ImageFile.LOAD_TRUNCATED_IMAGES = True
        return _pixels(reduced.data)
    pixels = _pixels(reduced.data, scale)
    if not reduced.ended or pixels.getpixel((pixels.width - 1, pixels.height - 1)) == _MISSING:
        found = _fingerprint(pixels)
        data = reduced.data.removesuffix(jpeg.END)
        for more in _AFTER_THE_LAST_PIXEL:
            del pixels  # there is room for one at a time
            pixels = _pixels(data + more + jpeg.END, scale)
            if _fingerprint(pixels) != found:
                raise ImageInvalid(INCOMPLETE)
    return pixels


def _pixels(data: bytes, scale: int = 1) -> Image.Image:
    """Decode to RGB, transparency on white."""
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        if scale > 1:
            image.draft("RGB", (image.width // scale, image.height // scale))
        image.load()
        if image.mode == "I;16":
            return _eight_bit_grey(image)
        if image.has_transparency_data:
            return _on_white(image)
        return image if image.mode == "RGB" else image.convert("RGB")


def _is_opaque(data: bytes) -> bool:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return not image.has_transparency_data or image.getchannel("A").getextrema() == (255, 255)


def _strips(image: Image.Image) -> list[tuple[int, int, int, int]]:
    return [(0, top, image.width, min(top + _ROWS, image.height)) for top in range(0, image.height, _ROWS)]


def _on_white(image: Image.Image) -> Image.Image:
    pixels = Image.new("RGB", image.size, "white")
    for box in _strips(image):
        strip = image.crop(box).convert("RGBA")
        pixels.paste(Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB"), box)
    return pixels


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    """Keep the upper eight of sixteen bits: Pillow's own conversion clips every value above 255."""
    key = image.info.get("transparency")
    pixels = Image.new("RGB", image.size)
    for box in _strips(image):
        strip = image.crop(box)
        grey = Image.frombytes("L", strip.size, strip.tobytes()[1::2])
        if isinstance(key, int):
            grey = grey.point(lambda value, key=key: 255 if value == key else value)
        pixels.paste(grey.convert("RGB"), box)
    return pixels


def _orientation(exif: bytes) -> int:
    try:
        found = Image.Exif()
        found.load(b"Exif\0\0" + exif)
        told = int(found.get(ExifTags.Base.Orientation, 1))
    except Exception:  # as broken as it likes: then the picture stays as it is
        return 1
    return told if told in _TURNS else 1


def _turned(pixels: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return pixels if turn is None else pixels.transpose(turn)


def _fingerprint(pixels: Image.Image, size: tuple[int, int] | None = None) -> str:
    width, height = size or pixels.size
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    for box in _strips(pixels):
        digest.update(pixels.crop(box).tobytes())
    return digest.hexdigest()


def _encoded(pixels: Image.Image, reduced: Reduced) -> bytes:
    """Write anew, no larger than it came if that can be had."""
    pixels.info.clear()  # encoders would write transparency from here
    data = b""
    for data in _written(pixels, reduced.kind):
        if len(data) <= len(reduced.data):
            break
    return data


def _written(pixels: Image.Image, kind: Literal["JPEG", "PNG"]) -> Iterator[bytes]:
    """Write it in one way after the other, each smaller than the one before as a rule."""
    if kind == "JPEG":
        for quality, chroma in _QUALITIES:
            yield _saved(pixels, "JPEG", quality=quality, subsampling=chroma)
        return
    yield _saved(pixels, "PNG")
    red, green, blue = (channel.tobytes() for channel in pixels.split())
    yield _saved(pixels.convert("L") if red == green == blue else pixels, "PNG", compress_level=9)


def _saved(pixels: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    pixels.save(stream, kind, **options)
    return stream.getvalue()
