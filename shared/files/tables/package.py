"""The ZIP archive of a workbook: its parts by the names that refer to them, each opened only within its limit."""

import io
import posixpath
import re
from typing import BinaryIO
from urllib.parse import unquote
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from shared.files.tables.errors import TableError
from shared.files.tables.markup import Attributes, Flat, attribute, read

MAX_PARTS = 10_000
MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_UNPACK_RATIO = 100
MAX_SMALL_PART_BYTES = 10 * 1024 * 1024  # what is kept in memory: the list of sheets, relationships, formats

_DIRECTORY_ENTRY = b"PK\x01\x02"
_CHUNK_BYTES = 1024 * 1024
_ENCRYPTED = 0x1
_OTHER_PACKAGES = (
    (re.compile(r"xl/workbook\.bin"), "这是 .xlsb 二进制工作簿，请用 Excel 或 WPS 打开后另存为 .xlsx 再上传"),
    (re.compile(r"word/.*"), "这是 Word 文档，不是表格，请将内容填入导入模板后上传"),
    (re.compile(r"ppt/.*"), "这是演示文稿，不是表格，请将内容填入导入模板后上传"),
    (re.compile(r"index/.*\.iwa"), "这是 Numbers 表格，请在 Numbers 中导出为 Excel（.xlsx）后重新上传"),
)


class Package:
    """An open archive; `part` finds by what people's programs write: other case, backslashes, absolute paths.

    Raises TableError for what is not a workbook's archive, and whatever zipfile raises for a broken one.
    """

    def __init__(self, file: BinaryIO) -> None:
        if _count(file, _DIRECTORY_ENTRY) > MAX_PARTS:  # each becomes an object when the archive is opened
            raise _too_large()
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._archive = ZipFile(file)
        self._parts: dict[str, ZipInfo] = {}
        for member in self._archive.infolist():
            if self._parts.setdefault(_key(member.filename), member) is not member:
                raise BadZipFile("two parts of one name")

    def close(self) -> None:
        self._archive.close()

    def has(self, name: str) -> bool:
        return _key(name) in self._parts

    def part(self, name: str, limit: int = MAX_UNPACKED_BYTES) -> BinaryIO:
        """Open a part as a stream. Raises KeyError if there is none, TableError if it unpacks beyond the limit."""
        member = self._parts[_key(name)]
        if member.flag_bits & _ENCRYPTED:
            raise TableError("table_type", "文件设有密码，请取消密码并保存后重新上传")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others may ask for any memory
            raise BadZipFile("a compression that workbooks do not have")
        if member.file_size > min(limit, self._size * MAX_UNPACK_RATIO):
            raise _too_large()
        return self._archive.open(member)  # type: ignore[return-value]  # a stream of bytes, read only

    def relationships(self, of: str) -> dict[str, tuple[str, str]]:
        """Return {id: (type, part)} of a part; the type is the last word of its address, transitional or strict."""
        folder, name = posixpath.split(of)
        found: dict[str, tuple[str, str]] = {}

        def note(element: str, attributes: Attributes) -> None:
            if element == "Relationship" and attribute(attributes, "TargetMode") != "External":
                target = self._resolved(folder, attribute(attributes, "Target"))
                found[attribute(attributes, "Id")] = (attribute(attributes, "Type").rpartition("/")[2], target)

        rels = f"{folder}/_rels/{name}.rels"
        if self.has(rels):
            with self.part(rels, MAX_SMALL_PART_BYTES) as stream:
                read(stream, Flat(note))
        return found

    def _resolved(self, folder: str, target: str) -> str:
        """A target is relative to its source, or begins at the root, which some programs forget to say."""
        path = unquote(target).replace("\\", "/")
        inner = _key(posixpath.join(folder, path))
        return inner if inner in self._parts or path.startswith("/") else _key(path)

    def refuse_others(self) -> None:
        """Raise TableError if this is the archive of something else."""
        if "mimetype" in self._parts:
            with self.part("mimetype") as stream:
                if stream.read(100).startswith(b"application/vnd.oasis.opendocument"):
                    message = "这是 OpenDocument（.ods）表格，请另存为 .xlsx 后重新上传"
                    raise TableError("table_type", message)
        for pattern, message in _OTHER_PACKAGES:
            if any(pattern.fullmatch(name) for name in self._parts):
                raise TableError("table_type", message)
        if "[content_types].xml" not in self._parts and not any(name.startswith("xl/") for name in self._parts):
            raise TableError("table_type", "这是压缩文件，请解压后上传其中的表格")


def _key(name: str) -> str:
    return posixpath.normpath("/" + name.replace("\\", "/")).lstrip("/").lower()


def _count(file: BinaryIO, mark: bytes) -> int:
    file.seek(0)
    count, tail = 0, b""
    while chunk := file.read(_CHUNK_BYTES):
        data = tail + chunk
        count += data.count(mark)
        tail = data[1 - len(mark) :]
    return count


def _too_large() -> TableError:
    return TableError("table_too_large", "XLSX 文件解压后过大，请只保留需要导入的数据")
