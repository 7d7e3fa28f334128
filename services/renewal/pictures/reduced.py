"""What a picture's file is reduced to before anything decodes it, what it may not be, and how that is said."""

from dataclasses import dataclass
from typing import ClassVar, Literal

MAX_BYTES = 5 * 1024 * 1024
MAX_PIXELS = 25_000_000
MIN_SIDE = 300
# Far above what any program writes (255 parts of a colour profile, pixels in pieces of 256 bytes), and quickly read.
MAX_PARTS = 50_000

UNREADABLE = "图片已损坏或无法识别，请重新拍照或保存后上传"
INCOMPLETE = "图片不完整，可能在传输或保存时中断，请重新拍照，或从原处重新保存后再上传"


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
    format says it must still be proven that no pixel is missing. `memory` is how many bytes its decoding may take.
    """

    kind: Literal["JPEG", "PNG"]
    data: bytes
    width: int
    height: int
    exif: bytes
    ended: bool
    memory: int


def check_size(width: int, height: int) -> None:
    """Refuse by what the header says, before any pixel is decoded. Raises ImageInvalid."""
    if width * height > MAX_PIXELS:
        raise ImageInvalid(f"图片尺寸过大，不能超过{MAX_PIXELS // 10_000}万像素，请缩小后重新上传")
    if min(width, height) < MIN_SIDE:
        raise ImageInvalid(f"图片太小，短边不能少于{MIN_SIDE}像素")
