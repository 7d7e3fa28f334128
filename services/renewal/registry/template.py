"""The table that registrars fill in and import."""

import io
from datetime import date

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill

from services.renewal.registry.file import COLUMNS
from shared.values import idnumber

_NOTES = (
    ("列名", "填写要求", "示例"),
    ("身份证号", "必填，18位；请保持文本格式", idnumber.make("360199", date(1990, 1, 1), 1)),
    ("姓名", "必填，与身份证一致", "张某某"),
    ("岗位", "岗位代码或岗位名称；未持证的人员留空", "土建施工员"),
    ("证书编号", "填写岗位时必填；请保持文本格式，以免丢失开头的0", "00707100000001"),
    ("有效期至", "如 2027-05-31；长期有效的留空或填写“长期”", "2027-05-31"),
)
_NOTE_LINES = (
    "每本证书填一行；同一人持有多本证书的填多行，未持证的人员填一行并将后三列留空。",
    "请在“人员与证书”工作表中填写；列的先后可以调整，其他的列和列名上方的标题不影响导入。",
)


def template_xlsx() -> bytes:
    """The import's template: an empty sheet with the columns, formatted as text, and a second one explaining them."""
    workbook = Workbook()
    table = workbook.worksheets[0]
    table.title = "人员与证书"
    table.append([column.label for column in COLUMNS])
    table.freeze_panes = "A2"
    notes = workbook.create_sheet("填写说明")
    for line in _NOTES:
        notes.append(line)
    for text in _NOTE_LINES:
        notes.append((text,))
    for letter, width in zip("ABCDE", (24, 14, 18, 24, 18), strict=True):
        table.column_dimensions[letter].number_format = "@"
        table.column_dimensions[letter].width = width
    for letter, width in zip("ABC", (14, 56, 24), strict=True):
        notes.column_dimensions[letter].width = width
    for sheet in (table, notes):
        for cell in sheet[1]:
            cell.number_format = "@"
            cell.font = Font(bold=True)
            cell.fill = PatternFill("solid", fgColor="DDE7F3")
            cell.alignment = Alignment(horizontal="center")
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()
