"""The pages for everybody: the front page, what is published, and the verification of a certificate."""

import io
import re
from typing import Annotated
from urllib.parse import quote

import segno
from fastapi import Path, Response

from services.portal.api.certnumber import CertificateRead
from services.portal.articles import NEWS, NOTICES, POLICIES
from services.portal.context import Anyone, PageContext
from services.portal.gateway import Refused
from services.portal.pages import STATIC
from services.portal.routing import page_router
from shared.errors import NotFound
from shared.values.clock import SystemClock
from shared.values.idnumber import appears_in, looks_like_id_number
from shared.values.text import certificate_number

router = page_router()

ON_FRONT_PAGE = 5
# Longer numbers than the API takes are not worth a picture.
MAX_NUMBER = 50
# What stays the last part of a path: neither a path of its own nor "..".
ADDRESSABLE = re.compile("[^/]*[^/.][^/]*")
# (address, label, whom it is for, its file under static/ where that has been made)
MANUALS = tuple(
    (f"/manuals/{name}", label, reader, f"manuals/{name}.pdf" if (STATIC / "manuals" / f"{name}.pdf").exists() else "")
    for name, label, reader in (
        ("enterprise", "企业操作手册", "企业经办人：注册、添加换证人员、上传照片、查看审核结果"),
        ("reviewer", "管理员操作手册", "管理部门：查询、审核、驳回、撤回资质审核、人员导入"),
    )
)


@router.get("/")
async def front_page(context: Anyone) -> Response:
    return context.page("public/front.html", notices=NOTICES[:ON_FRONT_PAGE], manuals=MANUALS)


@router.get("/policies")
async def policies(context: Anyone) -> Response:
    return context.page("public/articles.html", heading="政策文件", articles=POLICIES)


@router.get("/news")
async def news(context: Anyone) -> Response:
    return context.page("public/articles.html", heading="信息动态", articles=NEWS)


@router.get("/notices")
async def notices(context: Anyone) -> Response:
    return context.page("public/notices.html", notices=NOTICES)


@router.get("/notices/{slug}")
async def notice(context: Anyone, slug: str) -> Response:
    for article in NOTICES:
        if article.slug == slug:
            return context.page("public/notice.html", article=article)
    raise NotFound("没有这条通知，可能已被撤下")


@router.get("/downloads")
async def downloads(context: Anyone) -> Response:
    return context.page("public/downloads.html", manuals=MANUALS)


@router.get("/certificates")
async def certificate_search(context: Anyone, number: str | None = None) -> Response:
    return context.page("public/certificates.html", number="") if number is None else await _search(context, number)


@router.post("/certificates")
async def search_certificate(context: Anyone) -> Response:
    """Lead to the certificate's address, unless what was typed cannot or must not stand in one."""
    number = context.field("number")
    if ADDRESSABLE.fullmatch(number) and not _is_personal(number):
        return context.redirect(_address(number))
    return await _search(context, number)


async def _search(context: PageContext, number: str) -> Response:
    if not certificate_number(number):
        return _ask(context, "请输入证书编号")
    return await _certificate(context, number)


@router.get("/certificates/{number}")
async def certificate(context: Anyone, number: str) -> Response:
    return await _certificate(context, number)


def _ask(context: PageContext, error: str) -> Response:
    return context.page("public/certificates.html", 422, number="", errors={"number": error})


async def _certificate(context: PageContext, number: str) -> Response:
    if _is_personal(number):
        return _ask(context, "请输入证书编号，而不是身份证号")
    try:
        found = await context.get(CertificateRead, f"/certnumber/v1{_address(number)}")
    except Refused as problem:
        wait = problem.document.retry_after
        response: Response = context.page(
            "public/certificates.html",
            problem.status,
            number=number,
            problem=problem.detail,
            errors=problem.errors,
            wait=wait,
        )
        if wait:
            response.headers["Retry-After"] = str(wait)
        return response
    here = _address(found.number)
    return context.page(
        "public/certificate.html",
        certificate=found,
        here=here,
        link=context.portal.settings.public_url + here,
        successor=_address(found.replaced_by) if found.replaced_by else "",
        asked_at=SystemClock().now(),
    )


@router.get("/certificates/{number}/qr.svg")
async def certificate_code(context: Anyone, number: Annotated[str, Path(max_length=MAX_NUMBER)]) -> Response:
    """Draw the link to the certificate's page, for a telephone's camera."""
    if _is_personal(number):
        raise NotFound
    picture = io.BytesIO()
    segno.make(context.portal.settings.public_url + _address(number), micro=False).save(
        picture, kind="svg", light="#fff", omitsize=True, svgclass=None, lineclass=None
    )
    return Response(picture.getvalue(), media_type="image/svg+xml")


def _is_personal(number: str) -> bool:
    return looks_like_id_number(number) or appears_in(number)


def _address(number: str) -> str:
    return f"/certificates/{quote(number, safe='')}"
