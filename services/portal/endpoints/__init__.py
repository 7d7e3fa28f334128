"""The pages, by who uses them: read the form, ask the API, render. Only services/portal/app.py imports them."""

from services.portal.endpoints import (
    accounts,
    administration,
    applications,
    audit,
    desk,
    exceptions,
    manuals,
    people,
    public,
    registry,
    statistics,
)

ROUTERS = (
    accounts.router,
    administration.router,
    applications.router,
    audit.router,
    desk.router,
    exceptions.router,
    manuals.router,
    people.router,
    public.router,
    registry.router,
    statistics.router,
)
