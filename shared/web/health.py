"""Liveness and readiness of a process, for those who route to it or restart it."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from shared.observability.readiness import Verdict


def health_router() -> APIRouter:
    """Make GET /healthz (the process lives, nothing is asked) and /readyz (with the names of what fails: 503, or 200 if
    the process can do the most of its work without)."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        verdict: Verdict = await request.app.state.container.judge()
        return JSONResponse({"status": verdict.status, "failed": verdict.failed}, 200 if verdict.ready else 503)

    return router
