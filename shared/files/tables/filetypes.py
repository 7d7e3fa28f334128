"""What a file is, by its content: a workbook, text, or something that people take for one of them."""

import codecs
import io
import re
from typing import BinaryIO, Literal

from shared.files.tables.errors import TableError

MAX_FILE_BYTES = 20 * 1024 * 1024
HEAD_BYTES = 4096

_SAVE_AS = "请用 Excel 或 WPS 打开后另存为 .xlsx 再上传"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0"
# In the directory of an OLE file, where names are UTF-16.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_WORD = "WordDocument".encode("utf-16-le")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# What no text has beside a stray zero byte.
_BINARY = re.compile(rb"[\x01-\x08\x0e-\x19\x1c-\x1f]")
_HTML = re.compile(rb"<(!doctype\s+html|html|head|meta|body|table|div|style)\b|mime-version:", re.IGNORECASE)
_OTHERS = (
    (re.compile(rb"%PDF"), "这是 PDF 文件，不是表格，请上传表格的 .xlsx 文件"),
    (re.compile(rb"Rar!|7z\xbc\xaf|\x1f\x8b"), "这是压缩文件，请解压后上传其中的表格"),
    (
        re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\0\0\0\0", re.DOTALL),
        "这是图片，不是表格，请上传表格的 .xlsx 文件",
    ),
)


def kind_of(file: BinaryIO) -> Literal["workbook", "text"]:
    """Tell a ZIP archive from text. Raises TableError that names what is neither, or larger than MAX_FILE_BYTES."""
    if file.seek(0, io.SEEK_END) > MAX_FILE_BYTES:
        raise TableError("table_too_large", f"文件超过{MAX_FILE_BYTES // 1024 // 1024}MB，请拆分后分次导入")
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith(_ZIP):
        return "workbook"
    if head.startswith(_OLE):
        raise TableError("table_type", _ole(file))
    if head.startswith(_UTF16):
        return "text"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HTML.match(start) or (start.startswith((b"<?xml", b"<!--")) and _HTML.search(start)):
        raise TableError("table_type", f"这是网页（HTML）格式的表格，只是以 .xls 命名，{_SAVE_AS}")
    if start.startswith(b"<?xml"):
        raise TableError("table_type", f"这是 XML 格式的表格，{_SAVE_AS}")
    for pattern, message in _OTHERS:
        if pattern.match(head):
            raise TableError("table_type", message)
    if b"\0" in head and _BINARY.search(head) and unmarked_utf16(head) is None:
        raise TableError("table_type", f"文件不是 CSV 或 XLSX 表格，或者已被加密软件加密。{_SAVE_AS}")
    return "text"


def unmarked_utf16(head: bytes) -> Literal["utf-16-le", "utf-16-be"] | None:
    """Tell the order of bytes of UTF-16 without a mark by its first lines, None if it is not that.

    In the wrong order a line break is U+0A00 or U+0D00, which no text has.
    """
    for encoding in ("utf-16-le", "utf-16-be"):
        lines = codecs.getincrementaldecoder(encoding)("replace").decode(head).splitlines()
        if len(lines) > 1 and all(line.replace("\t", "").isprintable() for line in lines):
            return encoding
    return None


def _ole(file: BinaryIO) -> str:
    file.seek(0)
    content = file.read()
    if _ENCRYPTED in content:
        return "工作簿设有打开密码，请在 Excel 或 WPS 中取消密码并保存后重新上传"
    if _WORD in content:
        return "这是 Word 文档，不是表格，请将内容填入导入模板后上传"
    return f"这是旧版 .xls（或 WPS 的 .et）工作簿，{_SAVE_AS}"
