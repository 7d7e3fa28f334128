"""The pages of the operating manuals. `make manuals` takes their pictures and prints these pages to static/manuals/."""

from typing import Literal

from fastapi import Response

from services.portal.context import Anyone
from services.portal.routing import page_router

router = page_router()


@router.get("/manuals/{name}")
async def manual(context: Anyone, name: Literal["enterprise", "reviewer"]) -> Response:
    return context.page(f"manuals/{name}.html")
