"""The three pictures of an application: checked, stored, served, backed up.

Only `services.renewal.app` and the command `pictures` import it; nothing else of renewal needs it.
"""
