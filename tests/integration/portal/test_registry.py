"""The registrar's pages: importing people, and looking one up."""

import json
from collections.abc import AsyncIterator
from datetime import date
from io import BytesIO
from typing import Any

import httpx2
import pytest
from openpyxl import load_workbook

from deploy.synthetic import id_number
from services.portal.endpoints.registry import COLUMNS
from services.renewal.registry.file import COLUMNS as TABLE_COLUMNS
from services.renewal.registry.file import FIELDS
from shared.values.idnumber import mask
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.people import become_reviewer, log_in_reviewer
from tests.support.platform import REVIEWER_PASSWORD, Harness

HEADER = ",".join(FIELDS)
CHECK, IMPORT = ("mode", "check"), ("mode", "import")
FETCH = {"X-Requested-With": "fetch"}


def person(year: int, sequence: int = 0) -> str:
    return id_number("female", date(year, 5, 6), sequence)


def table(*rows: str) -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("people.csv", "\n".join([HEADER, *rows]).encode(), "text/csv")}


async def send(browser: Browser, press: tuple[str, str], files: Any, **options: Any) -> Page:
    page = await browser.get("/registry/imports")
    return await browser.send(page, "/registry/imports#report", press=press, files=files, **options)


async def look_up(browser: Browser, number: str) -> Page:
    return await browser.send(await browser.get("/registry/people"), "/registry/people", id_number=number)


@pytest.fixture
async def registrar(browser: Browser, platform: Harness) -> Browser:
    await become_reviewer(browser, platform)
    return browser


async def test_a_table_is_checked_then_imported_then_found(registrar: Browser) -> None:
    good, bad = person(1971), "360199199001010000"
    files = table(f"{good},吴安宁,土建施工员,旧0000000001,2031-05-31", f"{bad},吴,,,", f"{person(1972)},吴安,??,,")
    checked = await send(registrar, CHECK, files)
    assert checked.status == 200
    assert "检查完成：共 3 行，其中 2 行有问题，导入时将跳过" in checked.text
    assert "3 身份证号" in checked.text
    assert "4 岗位 没有这个岗位，请填写岗位代码或岗位名称" in checked.text
    assert bad not in checked.html
    assert (await look_up(registrar, good)).status == 404

    imported = await send(registrar, IMPORT, files)
    assert "导入完成：共 3 行，其中 2 行有问题，未导入" in imported.text
    assert "新增 1 行" in imported.text
    again = await send(registrar, IMPORT, table(f"{good},吴安宁,土建施工员,旧0000000001,2031-05-31"))
    assert "导入完成：共 1 行，没有问题" in again.text
    assert "未变 1 行" in again.text

    other = table(f"{good},吴安平,土建施工员,旧0000000001,2031-05-31", f"{good},吴,安平,30,x,2031-05-31")
    renaming = await send(registrar, CHECK, other)
    assert "有 1 行的姓名与平台数据不同，导入时将改为表格中的姓名，请先核对是否为同一人" in renaming.text
    assert f"2 {mask(good)} 吴安宁 吴安平" in renaming.text
    assert "3 整行 单元格多于表头" in renaming.text

    found = await look_up(registrar, good)
    assert found.path == "/registry/people"
    for text in ("吴安宁", mask(good), "女", "1971-05-06", "旧0000000001", "土建施工员", "在册", "2031-05-31", "导入"):
        assert text in found.text
    assert good not in found.html


async def test_the_template_is_the_one_that_the_import_takes(registrar: Browser) -> None:
    answer = await registrar.get("/registry/imports/template")
    assert "attachment" in answer.response.headers["content-disposition"]
    sheet = load_workbook(BytesIO(answer.response.content)).worksheets[0]
    assert [cell.value for cell in sheet[1]] == [column.label for column in TABLE_COLUMNS]
    assert {column.name: column.label for column in TABLE_COLUMNS}.items() <= COLUMNS.items()


async def test_the_progress_is_part_of_the_page_and_its_last_line_is_the_report(registrar: Browser) -> None:
    rows = [f"{person(year, n)},郑远,,," for year in range(1968, 1975) for n in range(300)]
    page = await send(registrar, CHECK, table(*rows))
    assert "已处理 2000 行，共 2100 行" in page.text
    assert "已处理 2100 行，共 2100 行" in page.text
    steps = page.html.split('<div class="import-steps">')[1]
    assert steps.index("已处理 2000 行") < steps.index("已处理 2100 行") < steps.index("检查完成")
    assert page.html.rstrip().endswith("</html>")


async def test_the_script_gets_the_same_without_the_page_around(registrar: Browser) -> None:
    fragment = await send(registrar, CHECK, table(f"{person(1975)},郑明,,,"), headers=FETCH)
    assert "检查完成：共 1 行，没有问题" in fragment.text
    assert "<html" not in fragment.html
    refused = await send(registrar, CHECK, {"file": ("people.csv", b"a,b\n1,2\n", "text/csv")}, headers=FETCH)
    assert refused.status == 422
    assert "notice--wrong" in refused.html
    assert "<html" not in refused.html


@pytest.mark.parametrize("files", [None, {"file": ("", b"", "application/octet-stream")}])
async def test_no_file_is_said_beside_the_field(registrar: Browser, files: Any) -> None:
    page = await send(registrar, IMPORT, files)
    assert page.status == 422
    assert 'id="file-error"' in page.html
    assert "请选择要导入的文件" in page.text


async def test_a_table_that_cannot_be_used_is_refused_in_words(registrar: Browser) -> None:
    page = await send(registrar, IMPORT, {"file": ("people.csv", b"\xd0\xcf\x11\xe0 old", "text/csv")})
    assert page.status == 422
    assert "这是旧版 .xls" in page.text
    assert "/registry/imports#report" in page.html


BREAKS: dict[str, tuple[list[object], str, str]] = {
    "the table": (
        [{"problem": {"detail": "第502行：CSV 格式不正确", "row": 502, "imported": 500}}],
        "导入中断：第502行：CSV 格式不正确",
        "中断前的 500 行已处理。请修正表格后重新导入",
    ),
    "the API": (
        [{"problem": {"detail": "系统内部错误"}}],
        "导入中断：系统内部错误",
        "请稍后用同一表格重新导入",
    ),
    "the connection": (
        [httpx2.ReadError("gone")],
        "导入中断：服务暂时不可用",
        "请稍后用同一表格重新导入",
    ),
    "without a word": ([], "导入中断：连接提前结束", "请稍后用同一表格重新导入"),
}


@pytest.mark.parametrize("what", BREAKS)
async def test_what_breaks_off_in_the_middle_is_said_in_words(
    registrar: Browser, platform: Harness, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    endings, headline, advice = BREAKS[what]

    class Broken(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for step in ({"rows_done": 500, "rows_total": None}, *endings):
                if isinstance(step, Exception):
                    raise step
                yield json.dumps(step).encode() + b"\n"

    transport = platform.platform.portal.state.portal.gateway.client._transport
    whole = transport.handle_async_request

    async def breaking(request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("/registry/imports"):
            response: httpx2.Response = await whole(request)
            return response
        await request.aread()
        return httpx2.Response(200, stream=Broken())

    monkeypatch.setattr(transport, "handle_async_request", breaking)
    page = await send(registrar, IMPORT, table(f"{person(1977)},冯清,,,"))
    assert page.status == 200
    for text in ("已处理 500 行", headline, advice):
        assert text in page.text
    assert page.html.rstrip().endswith("</html>")
    checked = await send(registrar, CHECK, table(f"{person(1977)},冯清,,,"))
    assert "检查中断" in checked.text
    assert "没有写入任何数据" in checked.text


async def test_a_wrong_number_stays_in_the_form_and_out_of_the_address(registrar: Browser) -> None:
    page = await look_up(registrar, "360199199001010000")
    assert page.status == 422
    assert page.response.url.query == b""
    assert ("id_number", "360199199001010000") in page.form("/registry/people").fields
    unknown = await look_up(registrar, person(1978))
    assert unknown.status == 404
    assert "平台数据中没有该人员" in unknown.text
    assert ("id_number", person(1978)) in unknown.form("/registry/people").fields


@pytest.mark.parametrize("path", ["/registry/imports", "/registry/imports/template", "/registry/people"])
async def test_only_registrars_may(browser: Browser, platform: Harness, path: str) -> None:
    assert (await browser.get(path)).path == "/review/login"
    await platform.reviewer("only-reviews", ("reviewer",))
    await log_in_reviewer(browser, "only-reviews", REVIEWER_PASSWORD)
    assert (await browser.get(path)).status == 403


async def test_a_form_of_somebody_else_imports_nothing(registrar: Browser) -> None:
    fields = [("_token", "0" * 64), IMPORT]
    page = await registrar.post("/registry/imports", fields, table(f"{person(1979)},冯清,,,"))
    assert page.status == 403
    assert (await look_up(registrar, person(1979))).status == 404
