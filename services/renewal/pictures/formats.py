"""Names what was uploaded in place of a JPEG or PNG, and says what to do about it."""

import re
from dataclasses import dataclass

_RETAKE = "请用手机或相机把证件或承诺书拍成照片，保存为 JPG 后上传"
_CONVERT = "请在电脑上用“画图”等软件打开，另存为 JPG 或 PNG 后上传"
_PHONES = (
    "iPhone 请在“设置”→“相机”→“格式”中选择“兼容性最佳”后重新拍照；"
    "华为、荣耀、小米、OPPO、vivo 请在“相机”→“设置”中关闭“HEIF”（有的叫“高效图片格式”）后重新拍照；"
    "已经拍好的，可在相册中打开后截屏，或在电脑上打开后另存为 JPG"
)
_DOCUMENT = "请打印后由本人签字、加盖换证公章，再拍成照片上传；已有扫描件的，另存为 JPG 后上传"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """`code` names the format to programs, `label` to people; `advice` is a sentence without its full stop."""

    code: str
    label: str
    advice: str


HEIC = FileFormat("heic", "HEIC（HEIF）格式的照片", _PHONES)
AVIF = FileFormat("avif", "AVIF 格式的图片", _CONVERT)
VIDEO = FileFormat("video", "视频", _RETAKE)
WEBP = FileFormat("webp", "WebP 格式的图片", _CONVERT)
GIF = FileFormat("gif", "GIF 格式的图片", _CONVERT)
BMP = FileFormat("bmp", "BMP 格式的图片", _CONVERT)
TIFF = FileFormat("tiff", "TIFF 或相机 RAW 格式的图片", _CONVERT)
JPEG_XL = FileFormat("jxl", "JPEG XL 格式的图片", _CONVERT)
JPEG_2000 = FileFormat("jp2", "JPEG 2000 格式的图片", _CONVERT)
PSD = FileFormat("psd", "Photoshop 文件（PSD）", "请在 Photoshop 中导出为 JPG 或 PNG 后上传")
ICON = FileFormat("ico", "图标文件（ICO）", _RETAKE)
SVG = FileFormat("svg", "SVG 格式的矢量图", _RETAKE)
PDF = FileFormat("pdf", "PDF 文件", _DOCUMENT)
OFD = FileFormat("ofd", "OFD 文件", _DOCUMENT)
WORD = FileFormat("word", "Word（WPS 文字）文档", _DOCUMENT)
SHEET = FileFormat("excel", "Excel（WPS 表格）工作簿", _RETAKE)
SLIDES = FileFormat("powerpoint", "PowerPoint（WPS 演示）文稿", _RETAKE)
OFFICE = FileFormat("office", "Office（WPS）文档", _DOCUMENT)
ARCHIVE = FileFormat("archive", "压缩包", "请先解压，再上传其中的 JPG 或 PNG 照片")
PAGE = FileFormat("html", "网页文件", "请在网页中的图片上点右键，选“图片另存为”，保存为 JPG 或 PNG 后上传")
PROGRAM = FileFormat("program", "程序文件", _RETAKE)
TEXT = FileFormat("text", "文本文件", _RETAKE)
UNKNOWN = FileFormat("unknown", "无法识别的文件", _RETAKE)

# What begins a file, in the order in which it is looked for.
_MAGIC: tuple[tuple[bytes, FileFormat], ...] = (
    (b"GIF8", GIF),
    (b"BM", BMP),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"II\x55\0", TIFF),
    (b"IIRO", TIFF),
    (b"FUJIFILMCCD-RAW", TIFF),
    (b"\xff\x0a", JPEG_XL),
    (b"\0\0\0\x0cJXL ", JPEG_XL),
    (b"\0\0\0\x0cjP  ", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"8BPS", PSD),
    (b"\0\0\x01\0", ICON),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OFFICE),
    (b"{\\rtf", WORD),
    (b"Rar!", ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"\x1f\x8b", ARCHIVE),
    (b"BZh", ARCHIVE),
    (b"\xfd7zXZ\0", ARCHIVE),
    (b"MZ", PROGRAM),
    (b"\x7fELF", PROGRAM),
    (b"FLV\x01", VIDEO),
    (b"\x1aE\xdf\xa3", VIDEO),
    (b"\0\0\x01\xba", VIDEO),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
# In the names inside a ZIP, which stand in its first bytes and again in its last.
_ZIPPED: tuple[tuple[bytes, FileFormat], ...] = (
    (b"word/", WORD),
    (b"xl/", SHEET),
    (b"ppt/", SLIDES),
    (b"OFD.xml", OFD),
    (b"opendocument.text", WORD),
    (b"opendocument.spreadsheet", SHEET),
    # A live photo of an iPhone (.livp): the photo and a video.
    (b".heic", HEIC),
    (b".HEIC", HEIC),
)
# Names of the streams in what Office wrote before 2007, in UTF-16.
_STREAMS: tuple[tuple[str, FileFormat], ...] = (
    ("WordDocument", WORD),
    ("Workbook", SHEET),
    ("Book", SHEET),
    ("PowerPoint Document", SLIDES),
)
_LOOK = 1024


def recognise(data: bytes) -> FileFormat:
    """Tell by its content what a file is that is neither a JPEG nor a PNG, whatever its name says."""
    if data[4:8] in {b"ftyp", b"moov", b"mdat", b"wide"}:
        return _by_brands(data)
    if data[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"AVI ": VIDEO}.get(data[8:12], UNKNOWN)
    if b"%PDF-" in data[:_LOOK]:
        return PDF
    if data[:2] == b"PK":
        return next((kind for name, kind in _ZIPPED if name in data), ARCHIVE)
    found = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    if found is OFFICE:
        return next((kind for name, kind in _STREAMS if name.encode("utf-16-le") in data), OFFICE)
    return found or _by_text(data[:_LOOK])


def _by_brands(data: bytes) -> FileFormat:
    """Read the major and the compatible brands of an ISO media file (ISO/IEC 14496-12)."""
    box = data[: min(int.from_bytes(data[:4], "big"), _LOOK)] if data[4:8] == b"ftyp" else b""
    brands = [box[8:12], *(box[place : place + 4] for place in range(16, len(box), 4))]
    if any(brand in {b"avif", b"avis"} for brand in brands):
        return AVIF
    if any(brand in _HEIF_BRANDS for brand in brands):
        return HEIC
    return VIDEO


def _by_text(start: bytes) -> FileFormat:
    encoding = "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    text = start.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n").lower()
    if "<svg" in text and text.startswith("<"):
        return SVG
    if re.match(r"<!doctype html|<html|<head|<body", text):
        return PAGE
    # The last character may have been cut in two.
    if len(text) > 5 and not re.search("[\0-\x08\x0e-\x1f]|\ufffd", text[:-3]):
        return TEXT
    return UNKNOWN
