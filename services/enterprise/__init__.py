"""enterprise: who the construction enterprises are.

Owns enterprises, their accounts, passwords and sessions. Says
enterprise.registered, enterprise.updated. Hears only who has missed some of that.

Imported by deploy, which runs it, and by tests; never by another service.
"""
