"""The registry of people and the certificates they hold: import and look-up.

Only `services.renewal.app` imports its endpoints; nothing else of renewal needs the registry.
"""
