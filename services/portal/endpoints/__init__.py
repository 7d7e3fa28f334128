"""The pages, by who uses them: read the form, ask the API, render."""

from services.portal.endpoints import accounts, desk

ROUTERS = (accounts.router, desk.router)
