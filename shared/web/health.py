"""Liveness and readiness of a process, for those who route to it or restart it."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse


def health_router() -> APIRouter:
    """Make GET /healthz (the process lives, nothing is asked) and /readyz (503 with the names of what fails)."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        failed = await request.app.state.container.failing_dependencies()
        body = {"status": "unavailable" if failed else "ok", "failed": failed}
        return JSONResponse(body, 503 if failed else 200)

    return router
