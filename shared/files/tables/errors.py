"""What can be wrong with a table, and with one of its rows or cells."""

from typing import Literal, NamedTuple

TableErrorCode = Literal["table_encoding", "table_type", "table_header", "table_too_large", "table_invalid"]
FaultCode = Literal[
    "cell_number",
    "cell_formula",
    "cell_error",
    "cell_too_long",
    "cell_characters",
    "cell_broken",
    "row_too_wide",
    "row_too_short",
    "row_invalid",
]

MAX_CELL_CHARACTERS = 500


class TableError(ValueError):
    """The table cannot be used; `message` is Chinese and quotes no cell, `row` is the row in the sheet if known."""

    def __init__(self, code: TableErrorCode, message: str, row: int | None = None) -> None:
        self.code = code
        self.message = f"第{row}行：{message}" if row else message
        self.row = row
        super().__init__(self.message)


class Fault(NamedTuple):
    """What is wrong with a cell or with a row; `message` is Chinese, says what to do and quotes no cell."""

    code: FaultCode
    message: str


_RECALCULATE = "请用 Excel 或 WPS 打开并保存后重新上传，或者将该列复制后选择性粘贴为数值"

NUMBER = Fault("cell_number", "单元格被存为数字，开头的0和末尾几位可能已丢失，请将该列设为文本格式后重新填写")
PLAIN_DAY = Fault("cell_number", "单元格是没有日期格式的数字，请将该列设为日期格式，或写成 2027-05-31 的样子")
FORMULA = Fault("cell_formula", f"单元格中的公式没有计算结果，{_RECALCULATE}")
BLANK_FORMULA = Fault("cell_formula", f"单元格中公式的结果是空的，请填写内容；应为空的，请删除公式。{_RECALCULATE}")
ERROR = Fault("cell_error", "单元格显示的是错误值（如 #N/A），请改正公式或直接填写")
LOGICAL = Fault("cell_error", "单元格是逻辑值（TRUE 或 FALSE），不是填写的内容，请改正公式或直接填写")
TOO_LONG = Fault("cell_too_long", f"内容超过{MAX_CELL_CHARACTERS}个字符")
CONTROL = Fault("cell_characters", "含有不可见的控制字符，请删除后重新填写")
DAMAGED = Fault("cell_characters", "含有无法识别的字符，请核对后重新填写")
BROKEN = Fault("cell_broken", "单元格的内容无法读取，请重新填写")

TOO_WIDE = Fault("row_too_wide", "单元格多于表头，内容中的逗号应放在英文双引号内")
TOO_SHORT = Fault("row_too_short", "该行的单元格少于表头，缺少这一列，请补齐；空的单元格也应有分隔符")
QUOTES = Fault("row_invalid", "引号不成对，或内容过长，请检查本行的双引号")
