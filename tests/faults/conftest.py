"""The toy service of tests/integration/messaging, for faults of the backbone itself."""

from tests.integration.messaging.conftest import database, database_url

__all__ = ["database", "database_url"]
