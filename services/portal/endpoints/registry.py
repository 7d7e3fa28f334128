"""The registrars' import of people and certificates."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile

from services.portal.api import Answer
from services.portal.api.renewal import ImportRead
from services.portal.context import Registrar, SignedIn, response_of
from services.portal.gateway import ApiProblem, Refused, read
from services.portal.routing import page_router

router = page_router()

IMPORTS = "/renewal/v1/registry/imports"
NDJSON = "application/x-ndjson"
COLUMNS = {
    "": "整行",
    "id_number": "身份证号",
    "name": "姓名",
    "post": "岗位",
    "certificate_number": "证书编号",
    "valid_until": "有效期至",
}
# Where the pages are cut, so that the lines of an import can be sent in between.
CUT = b"<!--lines-->"


class ImportProblem(Answer):
    """What ended an import: `row` where one is to blame, `imported` the rows done before."""

    detail: str
    row: int | None = None
    imported: int | None = None


class ImportLine(Answer):
    """A line of an import's answer: the progress, or last the report or the problem.

    OpenAPI has no word for the lines of a stream, so this is written by hand.
    """

    rows_done: int | None = None
    rows_total: int | None = None
    report: ImportRead | None = None
    problem: ImportProblem | None = None


@router.get("/registry/imports")
async def import_form(context: Registrar) -> Response:
    return context.page("registry/imports.html", dry_run=None)


@router.get("/registry/imports/template")
async def import_template(context: Registrar) -> Response:
    return response_of(await context.fetch(f"{IMPORTS}/template"), "content-disposition")


@router.post("/registry/imports")
async def import_file(context: Registrar) -> Response:
    file = context.form.get("file")
    # A browser without script cannot be stopped from sending what does not change anything first: that is the default.
    dry_run = context.field("mode") != "import"
    template = "registry/report.html" if context.wants_fragment else "registry/imports.html"
    if not isinstance(file, UploadFile) or not file.filename:
        return context.page(template, 422, dry_run=None, errors={"file": "请选择要导入的文件"})
    stack = AsyncExitStack()
    try:
        # The API answers once it has the whole file, so the form may be closed while its answer is passed on.
        answer = await stack.enter_async_context(
            context.portal.gateway.stream(
                "POST",
                IMPORTS,
                address=context.address,
                token=context.token,
                headers={"Accept": NDJSON},
                params={"dry_run": dry_run},
                files={"file": (file.filename, file.file, file.content_type or "application/octet-stream")},
            )
        )
    except Refused as problem:
        return context.page(template, problem.status, dry_run=None, problem=problem.detail, errors=problem.errors)
    return StreamingResponse(_report(context, template, dry_run, answer, stack), media_type="text/html")


async def _report(
    context: SignedIn, template: str, dry_run: bool, answer: httpx2.Response, stack: AsyncExitStack
) -> AsyncIterator[bytes]:
    """Make the page in pieces: what comes before the lines, a line for each step, the report, what comes after."""
    outcome = ImportLine()
    try:
        async with stack:
            before, _, after = bytes(context.page(template, dry_run=dry_run).body).partition(CUT)
            yield before
            async for line in answer.aiter_lines():
                step = read(ImportLine, line)
                if step.rows_done is not None:
                    yield _part(context, "step", step=step)
                else:
                    outcome = step
    except ApiProblem as problem:
        outcome = ImportLine(problem=ImportProblem(detail=problem.detail))
    yield _part(context, "outcome", outcome=outcome, dry_run=dry_run)
    yield after


def _part(context: SignedIn, name: str, **more: Any) -> bytes:
    return bytes(context.page(f"registry/{name}.html", columns=COLUMNS, **more).body)
