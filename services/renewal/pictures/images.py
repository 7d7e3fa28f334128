"""Uploaded images made safe to keep: recognised, reduced, and decoded and written anew in a process of their own."""

import anyio.to_thread

from services.renewal.pictures import decoding, formats, jpeg, png
from services.renewal.pictures.decoding import NormalisedImage
from services.renewal.pictures.reduced import (
    MAX_BYTES,
    UNREADABLE,
    ImageInvalid,
    ImageTooLarge,
    ImageTypeUnsupported,
    Reduced,
)
from shared.runtime.children import ChildOverspent, Children


async def normalise(children: Children, data: bytes) -> NormalisedImage:
    """Check an uploaded JPEG or PNG and write it anew.

    Raises ImageTooLarge, ImageTypeUnsupported, ImageInvalid; Unavailable where too many are waiting, ChildDied.
    """
    reduced = await anyio.to_thread.run_sync(reduce, data)
    try:
        return await children.run(decoding.decode, reduced, memory=reduced.memory)
    except ChildOverspent:
        # No picture of this size takes as much: it was made to.
        raise ImageInvalid(UNREADABLE) from None


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
