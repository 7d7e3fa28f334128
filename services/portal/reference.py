"""What hardly ever changes, asked of the API once in a while instead of for every page."""

import time
from typing import Any

from services.portal.context import SignedIn

LIFETIME = 300.0


async def posts(context: SignedIn) -> list[dict[str, Any]]:
    """The posts a certificate can be renewed for: [{code, name, family}]. Raises ApiProblem."""
    return await _kept(context, "/renewal/v1/posts")


async def reasons(context: SignedIn) -> list[dict[str, Any]]:
    """Reasons to reject or withdraw for: [{code, label, field?, actions, needs_comment}]. Raises ApiProblem."""
    return await _kept(context, "/review/v1/reasons")


async def _kept(context: SignedIn, path: str) -> list[dict[str, Any]]:
    kept = context.portal.reference.get(path)
    if kept is None or time.monotonic() - kept[0] > LIFETIME:
        kept = context.portal.reference[path] = (time.monotonic(), await context.api("GET", path))
    return kept[1]
