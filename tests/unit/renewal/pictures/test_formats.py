"""Whatever else is uploaded in place of a photo is called by its name, however its file is called."""

import io
import re
import struct
import zipfile

import docx
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.renewal.pictures.formats import recognise
from services.renewal.pictures.images import reduce
from services.renewal.pictures.reduced import ImageTypeUnsupported


def saved(image_format: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(stream, image_format)
    return stream.getvalue()


def media(*brands: bytes) -> bytes:
    box = b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands)
    return struct.pack(">I", len(box) + 4) + box + b"\0\0\0\x08free"


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as writer:
        for name in names:
            writer.writestr(name, "content")
    return stream.getvalue()


def office(stream: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + stream.encode("utf-16-le") + bytes(99)


def written(document: object) -> bytes:
    stream = io.BytesIO()
    document.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (media(b"heic", b"mif1"), "heic", "HEIC"),
        (media(b"mif1", b"miaf", b"heix"), "heic", "兼容性最佳"),
        (media(b"msf1", b"hevc"), "heic", "华为"),
        # A live photo as an iPhone gives it to a chat or a net disk.
        (archive("IMG_0001.HEIC.heic", "IMG_0001.HEIC.mov"), "heic", "HEIC"),
        (archive("IMG_0002.HEIC", "IMG_0002.MOV"), "heic", "iPhone"),
        (saved("AVIF"), "avif", "AVIF"),
        (media(b"mif1", b"avif"), "avif", "另存为 JPG"),
        (media(b"isom", b"mp42"), "video", "视频"),
        (media(b"qt  "), "video", "视频"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video", "视频"),
        (b"RIFF\0\0\0\0AVI LIST", "video", "视频"),
        (saved("WEBP"), "webp", "WebP"),
        (saved("GIF"), "gif", "GIF"),
        (saved("BMP"), "bmp", "BMP"),
        (saved("TIFF"), "tiff", "TIFF"),
        (b"MM\0*\0\0\0\x08", "tiff", "RAW"),
        (saved("ICO"), "ico", "图标"),
        (saved("JPEG2000"), "jp2", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl", "JPEG XL"),
        (b"\xff\x0a\xfa\x1f", "jxl", "JPEG XL"),
        (b"8BPS\0\x01", "psd", "Photoshop"),
        (b"%PDF-1.7\n", "pdf", "PDF"),
        (b"\xef\xbb\xbf\r\n%PDF-1.4", "pdf", "签字、加盖换证公章"),
        (saved("PDF"), "pdf", "PDF"),
        (written(docx.Document()), "word", "Word"),
        (written(openpyxl.Workbook()), "excel", "Excel"),
        (archive("ppt/presentation.xml"), "powerpoint", "PowerPoint"),
        (archive("OFD.xml", "Doc_0/Document.xml"), "ofd", "OFD"),
        (office("WordDocument"), "word", "Word"),
        (office("Workbook"), "excel", "Excel"),
        (office("Other"), "office", "Office"),
        (b"{\\rtf1\\ansi", "word", "Word"),
        (archive("照片.jpg"), "archive", "解压"),
        (b"Rar!\x1a\x07\x01\0", "archive", "解压"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "archive", "解压"),
        (b"\x1f\x8b\x08\0", "archive", "解压"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "svg", "SVG"),
        (b"\r\n<!DOCTYPE html><html>", "html", "图片另存为"),
        (b"MZ\x90\0\x03", "program", "程序"),
        ("身份证正面照片".encode(), "text", "文本"),
        ("身份证正面照片".encode("utf-16"), "text", "文本"),
        (b"data:image/jpeg;base64,/9j/4AAQ", "text", "文本"),
        (bytes(range(1, 200)), "unknown", "无法识别"),
        (b"x", "unknown", "JPG"),
    ],
)
def test_what_it_is_and_what_to_do(data: bytes, code: str, words: str) -> None:
    with pytest.raises(ImageTypeUnsupported, match=rf"只支持 JPG 或 PNG .*，这是.*{re.escape(words)}") as caught:
        reduce(data)
    assert caught.value.format == code


@given(st.binary(max_size=200), st.sampled_from([b"", b"\0\0\0\x10ftyp", b"PK\x03\x04", b"<", b"RIFF"]))
def test_anything_has_a_name(data: bytes, prefix: bytes) -> None:
    found = recognise(prefix + data)
    assert found.label
    assert not found.advice.endswith("。")
