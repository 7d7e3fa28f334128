"""The committed manuals hold what their pages say."""

import re

import pytest

from tests.browser.manuals import FOLDER, LIMIT, NAMES, TEMPLATES, pictures


def test_every_picture_is_there_and_small() -> None:
    files = {file.stem: file for file in FOLDER.glob("*.webp")}
    assert files.keys() == pictures()
    assert {name for name, file in files.items() if file.stat().st_size > LIMIT} == set()
    assert len(files) > 20


@pytest.mark.parametrize("name", NAMES)
def test_pdf_has_the_headings_of_the_page(name: str) -> None:
    headings = re.findall(r"<h[23]>(.+?)</h[23]>", (TEMPLATES / f"{name}.html").read_text())
    # The outline's titles, as PDF writes what is not ASCII.
    titles = b"".join(re.findall(rb"/Title <FEFF([0-9A-F]+)>", (FOLDER / f"{name}.pdf").read_bytes()))
    assert len(headings) > 8
    assert [text for text in headings if text.encode("utf-16-be").hex().upper().encode() not in titles] == []
