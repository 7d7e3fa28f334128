"""Decodes a reduced picture and writes it anew without anything but pixels, in a process of its own."""

import hashlib
import io
from dataclasses import dataclass
from typing import Literal

from PIL import ExifTags, Image, ImageFile

from services.renewal.pictures import jpeg, png
from services.renewal.pictures.reduced import INCOMPLETE, MAX_PIXELS, UNREADABLE, ImageInvalid, Reduced

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Now, and not in each of the processes that are copies of one that has imported this module.
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
# What a decoder makes of pixels that are not there is this grey; of what follows them, if they are there, nothing.
_MISSING = (128, 128, 128)
_AFTER_THE_LAST_PIXEL = (b"\x55" * 64, b"\xaa" * 64)


@dataclass(frozen=True, slots=True)
class NormalisedImage:
    """`sha256` is of `data`; `pixel_sha256` of the upright upload's size and RGB pixels, equal for lossless copies."""

    data: bytes
    content_type: Literal["image/jpeg", "image/png"]
    extension: Literal["jpg", "png"]
    width: int
    height: int
    sha256: str
    pixel_sha256: str


def decode(reduced: Reduced) -> NormalisedImage:
    """Decode, turn upright and write anew. Raises ImageInvalid."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        pixels = _complete_pixels(reduced)
        turn = _TURNS.get(_orientation(reduced.exif))
        if turn is not None:
            pixels = pixels.transpose(turn)
        return _encoded(pixels, reduced.kind)
    except ImageInvalid:
        raise
    except Exception:  # decoders answer hostile bytes with almost any exception
        raise ImageInvalid(UNREADABLE) from None


def _complete_pixels(reduced: Reduced) -> Image.Image:
    if reduced.kind == "PNG":
        if not reduced.ended:
            if not png.has_all_pixels(reduced.data):
                raise ImageInvalid(INCOMPLETE)
            # All that may be missing now is the end of the stream.
            ImageFile.LOAD_TRUNCATED_IMAGES = True
        return _pixels(reduced.data)
    data = reduced.data.removesuffix(jpeg.END).rstrip(b"\xff")
    pixels = _pixels(data + jpeg.END)
    if not reduced.ended or pixels.getpixel((pixels.width - 1, pixels.height - 1)) == _MISSING:
        found = _fingerprint(pixels)
        for more in _AFTER_THE_LAST_PIXEL:
            del pixels  # there is room for one at a time
            pixels = _pixels(data + more + jpeg.END)
            if _fingerprint(pixels) != found:
                raise ImageInvalid(INCOMPLETE)
    return pixels


def _pixels(data: bytes) -> Image.Image:
    """Decode to RGB, transparency on white."""
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        image.load()
        if image.mode == "I;16":
            return _eight_bit_grey(image)
        if image.has_transparency_data:
            return _on_white(image)
        return image if image.mode == "RGB" else image.convert("RGB")


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
        return int(found.get(ExifTags.Base.Orientation, 1))
    except Exception:  # as broken as it likes: then the picture stays as it is
        return 1


def _fingerprint(pixels: Image.Image) -> str:
    digest = hashlib.sha256(f"{pixels.width}x{pixels.height}:".encode())
    for box in _strips(pixels):
        digest.update(pixels.crop(box).tobytes())
    return digest.hexdigest()


def _encoded(pixels: Image.Image, kind: Literal["JPEG", "PNG"]) -> NormalisedImage:
    pixels.info.clear()  # encoders would write transparency from here
    stream = io.BytesIO()
    if kind == "PNG":
        pixels.save(stream, "PNG")
    else:
        pixels.save(stream, "JPEG", quality=90, subsampling="4:4:4")
    stored = stream.getvalue()
    return NormalisedImage(
        data=stored,
        content_type="image/png" if kind == "PNG" else "image/jpeg",
        extension="png" if kind == "PNG" else "jpg",
        width=pixels.width,
        height=pixels.height,
        sha256=hashlib.sha256(stored).hexdigest(),
        pixel_sha256=_fingerprint(pixels),
    )
