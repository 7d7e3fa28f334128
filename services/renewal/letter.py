"""安全员换证承诺书: the letter of commitment, filled in, to be printed, signed, sealed and photographed."""

import io
import re
from dataclasses import dataclass
from datetime import date, datetime, time

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from docx.shared import Mm, Pt
from docx.styles.style import ParagraphStyle
from docx.text.paragraph import Paragraph
from docx.text.run import Run

TEMPLATE_VERSION = "V1.0"

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_TITLE = "安全员换证承诺书"
_SONG, _FANGSONG = "宋体", "仿宋"

_COMMITMENTS = (
    "本人提交的身份信息、身份证正反面照片和本承诺书真实、完整、有效，与本人所持证件原件一致。",
    "本人为上述企业在职人员，劳动关系真实，不存在挂靠或者出租、出借、冒用证书的情形。",
    "本人不同时持有或者申请施工员证书与质量员证书。",
    "连同本次申请在内，本人持有的有效证书和正在办理的申请合计不超过三本。",
    "至提交申请之日，本人年龄未超过省级住房和城乡建设主管部门规定的换证年龄。",
    "取得证书后，本人将认真履行岗位安全生产职责，按规定参加继续教育。",
    "如有不实或者违反上述承诺，本人自愿接受不予换证、撤销证书、记入不良信用记录等处理，并承担由此产生的一切法律责任。",
)
_ENTERPRISE_COMMITMENT = "本企业已核对以上内容，确认属实，并对其真实性承担相应的法律责任。"

# What XML 1.0 cannot carry, and breaks that would tear a line of the form.
_NOT_PRINTABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class LetterFields:
    """`date` is the day the letter is made; the day of signature is left open for the signer's hand."""

    application_number: str
    person_name: str
    id_number: str
    post_name: str
    enterprise_name: str
    date: date


def render_letter(fields: LetterFields) -> bytes:
    """The letter as a .docx of one A4 page; characters that XML cannot carry are left out of the fields."""
    document = Document()
    document.core_properties.created = datetime.combine(fields.date, time())
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(28)
    section.top_margin, section.bottom_margin = Mm(25), Mm(22)
    _set_base_style(document.styles["Normal"])
    for language in document.styles.element.xpath("w:docDefaults//w:lang"):
        language.set(qn("w:eastAsia"), "zh-CN")

    properties = document.core_properties
    properties.title, properties.author, properties.comments = _TITLE, "", ""
    properties.version, properties.language = TEMPLATE_VERSION, "zh-CN"

    title = document.add_paragraph()
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    title.paragraph_format.space_after = Pt(12)
    title.paragraph_format.line_spacing = Pt(32)
    _set_font(title.add_run(_TITLE), _SONG, 22, bold=True)

    opening = _indented(document.add_paragraph())
    for text, is_field in (
        ("本人", False),
        (fields.person_name, True),
        ("，居民身份证号码", False),
        (fields.id_number, True),
        ("，现就职于", False),
        (fields.enterprise_name, True),
        ("，申请办理", False),
        (fields.post_name, True),
        ("岗位证书换证，并郑重承诺如下：", False),
    ):
        opening.add_run(_NOT_PRINTABLE.sub("", text)).underline = is_field
    for number, commitment in enumerate(_COMMITMENTS, start=1):
        _indented(document.add_paragraph(f"{number}．{commitment}"))
    _indented(document.add_paragraph(_ENTERPRISE_COMMITMENT))

    for left, right, space in (
        ("承诺人（本人签字）：", "换证公章：", 24),
        ("日期：　　　　年　　月　　日", "日期：　　　　年　　月　　日", 36),
    ):
        line = document.add_paragraph(f"{left}\t{right}")
        line.paragraph_format.space_before = Pt(space)
        line.paragraph_format.tab_stops.add_tab_stop(Mm(82))

    application_number = _NOT_PRINTABLE.sub("", fields.application_number)
    _margin_line(section.header.paragraphs[0], f"申请编号：{application_number}", WD_ALIGN_PARAGRAPH.RIGHT)
    footer = f"{_TITLE}　模板版本 {TEMPLATE_VERSION}　生成日期 {fields.date.isoformat()}"
    _margin_line(section.footer.paragraphs[0], footer, WD_ALIGN_PARAGRAPH.CENTER)

    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def _set_base_style(style: ParagraphStyle) -> None:
    _set_font(style, _FANGSONG, 14)
    style.paragraph_format.line_spacing = Pt(24)
    style.paragraph_format.space_after = Pt(0)


def _set_font(target: Run | ParagraphStyle, name: str, size: int, *, bold: bool = False) -> None:
    target.font.name, target.font.size, target.font.bold = name, Pt(size), bold
    # Word picks Chinese glyphs by this attribute, which python-docx has no property for.
    target.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), name)


def _indented(paragraph: Paragraph) -> Paragraph:
    paragraph.paragraph_format.first_line_indent = Pt(28)
    paragraph.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
    return paragraph


def _margin_line(paragraph: Paragraph, text: str, alignment: WD_ALIGN_PARAGRAPH) -> None:
    paragraph.alignment = alignment
    _set_font(paragraph.add_run(text), _SONG, 9)
