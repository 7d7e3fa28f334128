"""The operating manuals. `make manuals` takes their pictures and prints these pages to static/manuals/."""

from typing import Literal

from fastapi import Response

from services.portal.forms import page_router
from services.portal.visit import Anyone

router = page_router()


@router.get("/manuals/{name}")
async def manual(visit: Anyone, name: Literal["enterprise", "reviewer"]) -> Response:
    return visit.page(f"manuals/{name}.html")
