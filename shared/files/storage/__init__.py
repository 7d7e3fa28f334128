"""Where images live: one protocol, a directory (embedded run) and an S3 store (full stack) behind it."""

from shared.files.storage.directory import DirectoryStore
from shared.files.storage.minio import MinioStore
from shared.files.storage.store import InvalidKey, ObjectMissing, ObjectStore, StoreUnavailable

__all__ = ["DirectoryStore", "InvalidKey", "MinioStore", "ObjectMissing", "ObjectStore", "StoreUnavailable"]
