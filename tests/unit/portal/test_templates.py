"""The parts that pages are made of."""

import re

import jinja2

from services.portal.pages import HERE


def summary(**errors: str) -> str:
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True)
    page = templates.from_string('{% import "ui.html" as ui %}{{ ui.summary("有误", errors, {"name": "姓名"}) }}')
    return page.render(errors=errors)


def test_the_summary_leads_to_fields_that_are_on_the_page() -> None:
    html = summary(name="必填", cursor="格式不正确")
    assert re.findall(r'<li><a href="#(.+)">(.+)</a></li>', html) == [("name", "姓名：必填")]
    assert "<li>格式不正确</li>" in html
    assert "cursor" not in html


def test_the_summary_names_a_field_once() -> None:
    assert '<a href="#name">请填写姓名</a>' in summary(name="请填写姓名")
