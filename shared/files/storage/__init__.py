"""Where images live: one protocol, a directory (embedded run) and an S3 store (full stack) behind it.

Others import this package; its modules only where a test needs more.
"""

from shared.files.storage.directory import DirectoryStore
from shared.files.storage.minio import MinioStore, StoreTimings
from shared.files.storage.store import InvalidKey, ObjectMissing, ObjectStore, StoreUnavailable

__all__ = [
    "DirectoryStore",
    "InvalidKey",
    "MinioStore",
    "ObjectMissing",
    "ObjectStore",
    "StoreTimings",
    "StoreUnavailable",
]
