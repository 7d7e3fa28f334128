"""Accounts' common part: passwords, tokens, sessions with refresh and lockout, and who may call which route."""
