"""The pages, by who uses them: read the form, ask the API, render."""

from services.portal.endpoints import accounts, applications, desk, public

ROUTERS = (accounts.router, applications.router, desk.router, public.router)
