"""enterprise: who the construction enterprises are.

Owns enterprises, their accounts, passwords and sessions. Hears nothing.
Says enterprise.registered, enterprise.updated.

Imported by deploy, which runs it, and by tests; never by another service.
"""
