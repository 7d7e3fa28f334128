"""HTTP routes of the review service, by concern: parse, one use case, answer."""

from services.review.endpoints import admin, desk, login

ROUTERS = (login.router, login.sessions_router, desk.router, admin.router)
