"""Uploaded images made safe to keep: recognised, reduced, and proven or written anew in a process of their own."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import anyio.to_thread

from services.renewal.pictures import decoding, formats, jpeg, png
from services.renewal.pictures.reduced import (
    MAX_BYTES,
    UNREADABLE,
    ImageInvalid,
    ImageTooLarge,
    ImageTypeUnsupported,
    Reduced,
)
from shared.runtime.children import ChildOverspent, Children


@dataclass(frozen=True, slots=True)
class NormalisedImage:
    """What is stored of an upload. `sha256` is of `data`, `pixel_sha256` equal for two uploads of one picture (see
    `Decoded`), `width` and `height` those of the picture upright."""

    data: bytes
    content_type: Literal["image/jpeg", "image/png"]
    extension: Literal["jpg", "png"]
    width: int
    height: int
    sha256: str
    pixel_sha256: str


async def normalise(children: Children, data: bytes) -> NormalisedImage:
    """Check an uploaded JPEG or PNG, and clean it or write it anew.

    Raises ImageTooLarge, ImageTypeUnsupported, ImageInvalid; Unavailable where too many are waiting, ChildDied.
    """
    reduced = await anyio.to_thread.run_sync(reduce, data)
    try:
        decoded = await children.run(decoding.decode, reduced, memory=reduced.memory_to_prove)
    except ChildOverspent:
        # No picture of this size takes as much: it was made to.
        raise ImageInvalid(UNREADABLE) from None
    return normalised(reduced, decoded)


def normalised(reduced: Reduced, decoded: decoding.Decoded) -> NormalisedImage:
    """Put together what is stored."""
    data = decoded.data
    if data is None:
        data = reduced.data
        if decoded.orientation != 1:
            data = jpeg.with_orientation(data, decoded.orientation)
    return NormalisedImage(
        data=data,
        content_type="image/png" if reduced.kind == "PNG" else "image/jpeg",
        extension="png" if reduced.kind == "PNG" else "jpg",
        width=decoded.width,
        height=decoded.height,
        sha256=hashlib.sha256(data).hexdigest(),
        pixel_sha256=decoded.pixel_sha256,
    )


async def fingerprint(children: Children, data: bytes) -> str:
    """Hash the upright picture's size and all its pixels. Raises as `normalise`."""
    reduced = await anyio.to_thread.run_sync(reduce, data)
    return await children.run(decoding.fingerprint, reduced, memory=reduced.memory)


async def upright(children: Children, data: bytes) -> bytes:
    """Turn a stored picture's pixels, for who does not turn it by its orientation. Raises as `normalise`."""
    reduced = await anyio.to_thread.run_sync(reduce, data)
    if not reduced.exif:
        return data
    return await children.run(decoding.upright, reduced, memory=reduced.memory)


def reduce(data: bytes) -> Reduced:
    """Recognise an uploaded file and reduce it to its pixels.

    Raises ImageTooLarge, ImageTypeUnsupported, ImageInvalid.
    """
    if len(data) > MAX_BYTES:
        raise ImageTooLarge(f"照片不能超过 {MAX_BYTES // 1024 // 1024} MB，请压缩后重新上传")
    if not data:
        raise ImageInvalid("图片文件是空的，请重新选择")
    if data.startswith(png.MAGIC):
        return png.reduce(data)
    if data.startswith(jpeg.MAGIC):
        return jpeg.reduce(data)
    found = formats.recognise(data)
    raise ImageTypeUnsupported(f"只支持 JPG 或 PNG 格式的图片，这是{found.label}。{found.advice}", found.code)
