"""What a picture's file is reduced to before anything decodes it, what it may not be, and how that is said."""

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

MAX_BYTES = 5 * 1024 * 1024
MAX_PIXELS = 25_000_000
MIN_SIDE = 300
# Far above what any program writes (255 parts of a colour profile, pixels in pieces of 256 bytes), and quickly read.
MAX_PARTS = 50_000

UNREADABLE = "图片已损坏或无法识别，请重新拍照或保存后上传"
INCOMPLETE = "图片不完整，可能在传输或保存时中断，请重新拍照，或从原处重新保存后再上传"


# What other programs would take a file for: an archive is found by what stands near its end, a page by any of its tags.
_ARCHIVE = re.compile(rb"PK(?:\x03\x04|\x05\x06)")
_PAGE = re.compile(rb"<(?:\?php|!doctype|html|head|body|script|iframe|img|svg)", re.IGNORECASE)
_DOCUMENT = b"%PDF-"


class ImageError(Exception):
    """An image that is refused; `code` is stable, `message` Chinese."""

    code: ClassVar[str]

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class ImageTooLarge(ImageError):
    code = "image_too_large"


class ImageTypeUnsupported(ImageError):
    """`format` names to programs what the file is."""

    code = "image_type"

    def __init__(self, message: str, found: str) -> None:
        super().__init__(message)
        self.format = found


class ImageInvalid(ImageError):
    code = "image_invalid"


@dataclass(frozen=True, slots=True)
class Reduced:
    """A JPEG or PNG of one picture, of which only what the pixels are made of is left.

    `exif` is the TIFF structure that says how the picture was held, or empty. Of a file that is not `ended` as its
    format says it must still be proven that no pixel is missing. One that is `plain` may be kept as it is, once
    decoding has proven it a picture. `memory` is how many bytes its decoding may take, `memory_to_prove` that of as
    much of it as proves it.
    """

    kind: Literal["JPEG", "PNG"]
    data: bytes
    width: int
    height: int
    exif: bytes
    ended: bool
    plain: bool
    memory: int
    memory_to_prove: int


def check_size(width: int, height: int) -> None:
    """Refuse by what the header says, before any pixel is decoded. Raises ImageInvalid."""
    if width * height > MAX_PIXELS:
        raise ImageInvalid(f"图片尺寸过大，不能超过{MAX_PIXELS // 10_000}万像素，请缩小后重新上传")
    if min(width, height) < MIN_SIDE:
        raise ImageInvalid(f"图片太小，短边不能少于{MIN_SIDE}像素")


def has_another_face(data: bytes) -> bool:
    """Tell whether a picture's bytes, by chance or on purpose, would be something else as well to another program."""
    return bool(_ARCHIVE.search(data) or _PAGE.search(data)) or _DOCUMENT in data
