"""HTTP routes of the review service, by concern: parse, one use case, answer with a view.

Only app.py imports it.
"""

from services.review.endpoints import admin, audit, desk, login

ROUTERS = (login.router, *login.session_endpoints, desk.router, desk.bare, admin.router, admin.bare, audit.router)
