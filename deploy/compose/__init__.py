"""The installation with docker compose: its secrets, its operation by `make`, and the trial of the whole.

For developers and operators; no service imports it. Every call of `docker compose` goes through `installation.py`.
"""
