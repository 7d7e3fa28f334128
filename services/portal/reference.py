"""Ask the API for what hardly ever changes, once in a while instead of for every page."""

from services.portal.api.renewal import PostRead
from services.portal.api.review import ReasonRead
from services.portal.context import SignedIn


async def posts(context: SignedIn) -> list[PostRead]:
    """Return the posts a certificate can be renewed for. Raises ApiProblem."""
    return await context.portal.posts.get(lambda: context.get(list[PostRead], "/renewal/v1/posts"))


async def reasons(context: SignedIn) -> list[ReasonRead]:
    """Return the reasons to reject or withdraw for. Raises ApiProblem."""
    return await context.portal.reasons.get(lambda: context.get(list[ReasonRead], "/review/v1/reasons"))
