"""Uploaded images made safe to keep: decoded, turned upright and written anew without anything but pixels."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal

import anyio.to_thread
from PIL import Image, ImageOps

MAX_BYTES = 5 * 1024 * 1024
MAX_PIXELS = 25_000_000
MIN_SIDE = 300
# A progressive JPEG has about ten scans; a hostile one fits a hundred thousand into its bytes, 20 ms of decoding each.
MAX_JPEG_SCANS = 128

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"
_JPEG_SCAN = b"\xff\xda"

_UNREADABLE = "图片已损坏或无法识别，请重新拍照或保存后上传"
_TOO_MANY_PIXELS = f"图片尺寸过大，不能超过{MAX_PIXELS // 10_000}万像素"

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)

# One image of 25 megapixels takes up to about 350 MB while it is worked on.
_memory_bound = anyio.CapacityLimiter(2)


class ImageError(Exception):
    """An image that is refused; `code` is stable, `message` Chinese."""

    code: ClassVar[str]

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class ImageTooLarge(ImageError):
    code = "image_too_large"


class ImageTypeUnsupported(ImageError):
    code = "image_type"


class ImageInvalid(ImageError):
    code = "image_invalid"


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


def normalise(data: bytes) -> NormalisedImage:
    """Check an uploaded JPEG or PNG and write it anew; raises ImageTooLarge, ImageTypeUnsupported or ImageInvalid."""
    if len(data) > MAX_BYTES:
        raise ImageTooLarge(f"照片不能超过 {MAX_BYTES // 1024 // 1024} MB，请压缩后重新上传")
    if not data:
        raise ImageInvalid("图片文件是空的")
    if not data.startswith((_PNG_MAGIC, _JPEG_MAGIC)):
        raise ImageTypeUnsupported("只支持 JPG 或 PNG 格式的图片")
    if data.count(_JPEG_SCAN) > MAX_JPEG_SCANS:
        raise ImageInvalid(_UNREADABLE)
    try:
        return _rewrite(data)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageInvalid(_TOO_MANY_PIXELS) from None
    except Exception:  # decoders answer hostile bytes with almost any exception
        raise ImageInvalid(_UNREADABLE) from None


async def normalise_off_loop(data: bytes) -> NormalisedImage:
    """`normalise` in a thread, two at a time in this process."""
    return await anyio.to_thread.run_sync(normalise, data, limiter=_memory_bound)


def _rewrite(data: bytes) -> NormalisedImage:
    with _open(data) as image:
        _check_header(image)
        image.verify()  # spends the image: it is opened again below
    with _open(data) as image:
        is_png = image.format == "PNG"
        ImageOps.exif_transpose(image, in_place=True)
        pixels = _on_white(image)
    pixels.info.clear()  # encoders would write comment, colour profile and transparency from here
    stream = io.BytesIO()
    if is_png:
        pixels.save(stream, "PNG")
    else:
        pixels.save(stream, "JPEG", quality=90, subsampling="4:4:4")
    stored = stream.getvalue()
    fingerprint = hashlib.sha256(f"{pixels.width}x{pixels.height}:".encode())
    fingerprint.update(pixels.tobytes())
    return NormalisedImage(
        data=stored,
        content_type="image/png" if is_png else "image/jpeg",
        extension="png" if is_png else "jpg",
        width=pixels.width,
        height=pixels.height,
        sha256=hashlib.sha256(stored).hexdigest(),
        pixel_sha256=fingerprint.hexdigest(),
    )


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))


def _check_header(image: Image.Image) -> None:
    """Refuse by what the header says, before any pixel is decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise ImageInvalid(_TOO_MANY_PIXELS)
    if min(image.size) < MIN_SIDE:
        raise ImageInvalid(f"图片太小，短边不能少于{MIN_SIDE}像素")
    if getattr(image, "n_frames", 1) > 1:
        raise ImageInvalid("不支持动图或含有多张图像的文件，请上传单张照片")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: converting would clip every value above 255
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
