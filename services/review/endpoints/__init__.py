"""HTTP routes of the review service, by concern: parse, one use case, answer with a view.

Only app.py imports it.
"""

from services.review.audit import AUDIT_LABELS, AuditAction
from services.review.endpoints import admin, desk, login
from shared.audit.endpoints import audit_router

ROUTERS = (
    login.router,
    *login.session_endpoints,
    desk.router,
    admin.router,
    admin.bare,
    audit_router(AuditAction, AUDIT_LABELS),
)
