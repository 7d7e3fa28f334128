"""enterprise: who the construction enterprises are.

Owns enterprises, their accounts, passwords and sessions. Hears nothing.
Says enterprise.registered, enterprise.updated.
"""
