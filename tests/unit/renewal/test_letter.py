import io
import math
import unicodedata
import zipfile
from datetime import date
from functools import cache
from typing import Any

import pytest
from docx import Document
from docx.document import Document as DocumentObject
from docx.oxml.ns import qn
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import synthetic
from services.renewal import letter
from services.renewal.letter import LetterFields, render_letter

ID = synthetic.id_number()
FIELDS = LetterFields("HZ20261122000001", "张三", ID, "土建施工员", "南昌一零建设有限公司", date(2026, 11, 22))


@cache
def opened(fields: LetterFields = FIELDS) -> DocumentObject:
    return Document(io.BytesIO(render_letter(fields)))


def text_of(document: DocumentObject) -> str:
    return "\n".join(paragraph.text for paragraph in document.paragraphs)


def test_says_who_what_and_where_to_sign() -> None:
    document = opened()
    text = text_of(document)
    assert document.paragraphs[0].text == "安全员换证承诺书"
    for part in (
        "张三",
        ID,
        "土建施工员",
        "南昌一零建设有限公司",
        "本人签字",
        "换证公章",
        "日期",
        "施工员证书与质量员证书",
    ):
        assert part in text
    section = document.sections[0]
    assert "HZ20261122000001" in section.header.paragraphs[0].text
    footer = section.footer.paragraphs[0].text
    assert letter.TEMPLATE_VERSION in footer
    assert "2026-11-22" in footer


def test_chinese_fonts() -> None:
    document: Any = opened()
    assert document.styles["Normal"].element.rPr.rFonts.get(qn("w:eastAsia")) == "仿宋"
    assert document.paragraphs[0].runs[0].element.rPr.rFonts.get(qn("w:eastAsia")) == "宋体"


@pytest.mark.parametrize("enterprise", ["南昌一零建设有限公司", "赣" * 100], ids=["usual", "longest"])
def test_one_a4_page(enterprise: str) -> None:
    """Every line has an exact height and Chinese characters are as wide as the type is high, so it can be counted."""
    document: Any = opened(LetterFields("1", "名" * 50, ID, "装饰装修质量员", enterprise, date(2026, 11, 22)))
    section = document.sections[0]
    assert (section.page_width.mm, section.page_height.mm) == pytest.approx((210, 297), abs=0.1)
    width = section.page_width.pt - section.left_margin.pt - section.right_margin.pt
    height = section.page_height.pt - section.top_margin.pt - section.bottom_margin.pt
    base = document.styles["Normal"]
    size, line_height = base.font.size.pt, base.paragraph_format.line_spacing.pt
    used = 0.0
    for paragraph in document.paragraphs:
        form = paragraph.paragraph_format
        text = paragraph.text.split("\t")[0]  # the signatures' two columns share a line
        ems = sum(1 if unicodedata.east_asian_width(character) in "WFA" else 0.5 for character in text)
        indent = form.first_line_indent.pt if form.first_line_indent else 0
        lines = math.ceil((ems * size + indent) / (width - size))  # a line may end a character early, before a comma
        used += lines * (form.line_spacing.pt if form.line_spacing else line_height)
        used += sum(space.pt for space in (form.space_before, form.space_after) if space)
    assert height / 2 < used <= height


@settings(max_examples=6)
@given(st.text(st.characters(), max_size=40))
def test_no_character_breaks_the_file(text: str) -> None:
    nasty = text + "\0\x0b\ud800\ufffe]]><&\r\n\t"
    content = render_letter(LetterFields(nasty, nasty, nasty, nasty, nasty, date(2026, 11, 22)))
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    plain = "".join(c for c in text if c.isalnum())
    document = Document(io.BytesIO(content))
    found = document.paragraphs[1].runs[1].text
    assert plain == "".join(c for c in found if c.isalnum())
    assert found.endswith("]]><&")


def test_carries_no_author() -> None:
    properties = opened().core_properties
    assert (properties.author, properties.title, properties.version) == (
        "",
        "安全员换证承诺书",
        letter.TEMPLATE_VERSION,
    )
