"""What hardly ever changes, asked of the API once in a while instead of for every page."""

import time
from typing import Any

from services.portal.visit import Visit

LIFETIME = 300.0


async def posts(visit: Visit) -> list[dict[str, Any]]:
    """The posts a certificate can be renewed for: [{code, name, family}]. Raises ApiProblem."""
    return await _kept(visit, "/renewal/v1/posts")


async def reasons(visit: Visit) -> list[dict[str, Any]]:
    """Reasons to reject or withdraw for: [{code, label, field?, actions, needs_comment}]. Raises ApiProblem."""
    return await _kept(visit, "/review/v1/reasons")


async def _kept(visit: Visit, path: str) -> list[dict[str, Any]]:
    kept = visit.portal.reference.get(path)
    if kept is None or time.monotonic() - kept[0] > LIFETIME:
        kept = visit.portal.reference[path] = (time.monotonic(), await visit.api("GET", path))
    return kept[1]
