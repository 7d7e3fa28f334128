"""The embedded run: the whole platform in one process on one port, with its own PostgreSQL, data in one directory.

Nothing but tests imports it; `python -m deploy.embedded` runs it.
"""
