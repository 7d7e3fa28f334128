"""Workbooks written by hand, part by part, as other programs than ours write them."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def text(value: str) -> str:
    """Write a cell that holds its own text."""
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else "<c/>"


def row(*cells: str, at: int | None = None) -> str:
    """Write a row of cells, given as XML or as plain text."""
    inner = "".join(cell if cell.startswith("<c") else text(cell) for cell in cells)
    return f'<row r="{at}">{inner}</row>' if at else f"<row>{inner}</row>"


def styles(*formats: int | str) -> str:
    """Write styles 0, 1, ... with these formats of numbers, each the id of one built in or a code."""
    own = [(164 + at, each) for at, each in enumerate(formats) if isinstance(each, str)]
    codes = "".join(f'<numFmt numFmtId="{key}" formatCode="{escape(code, {chr(34): "&quot;"})}"/>' for key, code in own)
    ids = [each if isinstance(each, int) else 164 + at for at, each in enumerate(formats)]
    xfs = "".join(f'<xf numFmtId="{key}"/>' for key in ids)
    return f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellXfs>{xfs}</cellXfs></styleSheet>'


def sheet(rows: str, merges: Sequence[str] = ()) -> str:
    ranges = "".join(f'<mergeCell ref="{merge}"/>' for merge in merges)
    after = f"<mergeCells>{ranges}</mergeCells>" if merges else ""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{after}</worksheet>'


def parts(
    *sheets: str,
    states: Sequence[str] = (),
    strings: str | None = None,
    style: str | None = None,
    settings: str = "",
) -> dict[str, str | bytes]:
    """Write the parts of a workbook; `states` of the sheets, `strings` as `<si>` elements."""
    names = [f"sheet{number}" for number in range(1, len(sheets) + 1)]
    listed = "".join(
        f'<sheet name="{name}" sheetId="{at}" r:id="{name}"'
        + (f' state="{states[at - 1]}"' if len(states) >= at and states[at - 1] else "")
        + "/>"
        for at, name in enumerate(names, 1)
    )
    related = [(name, "worksheet", f"worksheets/{name}.xml") for name in names]
    written: dict[str, str | bytes] = {
        f"xl/worksheets/{name}.xml": content for name, content in zip(names, sheets, strict=True)
    }
    if strings is not None:
        related.append(("strings", "sharedStrings", "sharedStrings.xml"))
        written["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{strings}</sst>'
    if style is not None:
        related.append(("styles", "styles", "styles.xml"))
        written["xl/styles.xml"] = style
    book = f"{settings}<sheets>{listed}</sheets>"
    return {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relationships([("workbook", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{book}</workbook>',
        "xl/_rels/workbook.xml.rels": relationships(related),
        **written,
    }


def relationships(related: Sequence[tuple[str, str, str]]) -> str:
    each = "".join(f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target="{to}"/>' for key, kind, to in related)
    return f'<Relationships xmlns="{PACKAGE}">{each}</Relationships>'


def packed(members: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack the parts; backslashes in names stay."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def workbook(rows: str, merges: Sequence[str] = (), *, strings: str | None = None, style: str | None = None) -> bytes:
    """Pack a workbook of one sheet."""
    return packed(parts(sheet(rows, merges), strings=strings, style=style))
