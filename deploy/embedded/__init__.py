"""The embedded run: the whole platform in one process on one port, with its own PostgreSQL, data in one directory."""
