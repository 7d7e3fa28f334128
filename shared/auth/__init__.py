"""Accounts' common part: passwords, tokens, sessions with refresh and lockout, and who may call which route.

Services import it, and of shared `audit` and `runtime`. It knows of a service's container only what Protocols here say.
"""
