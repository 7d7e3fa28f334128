"""Objects in one bucket of an S3 store, by the synchronous `minio` client on a few threads of its own."""

import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from shared.files.storage.store import MAX_URL_LIFE, PAGE, ObjectMissing, StoreUnavailable, check_key

THREADS = 16

_T = TypeVar("_T")


@dataclass(frozen=True)
class StoreTimings:
    """Says how long a call waits for the store, in seconds: a connection is tried twice, a request once."""

    connect: float = 2.0
    read: float = 10.0
    deadline: float = 14.0


class MinioStore:
    """An ObjectStore in `bucket` of the S3 server at `endpoint` (host:port, https when `secure`).

    `public_endpoint` is the server's URL as browsers reach it, such as `https://s3.example.cn`; the host is part of
    a presigned URL's signature, so without it there are no presigned URLs. `region` is sent as it is, never asked for.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        secure: bool,
        region: str,
        public_endpoint: str | None,
        timings: StoreTimings = StoreTimings(),
    ) -> None:
        connect = partial(Minio, access_key=access_key, secret_key=secret_key, region=region)
        # A read is not tried again: a store that takes the request and stays silent has used up the time we have.
        http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=timings.connect, read=timings.read),
            retries=urllib3.Retry(
                total=1, read=0, status_forcelist=(500, 502, 503, 504), respect_retry_after_header=False
            ),
            maxsize=THREADS,
        )
        self._bucket = bucket
        self._deadline = timings.deadline
        self._client = connect(endpoint, secure=secure, http_client=http)
        self._signer: Minio | None = None
        if public_endpoint is not None:
            public = urlsplit(public_endpoint)
            if public.scheme not in {"http", "https"} or not public.netloc or public.path.strip("/"):
                raise ValueError(f"public endpoint must be scheme://host[:port], not {public_endpoint!r}")
            self._signer = connect(public.netloc, secure=public.scheme == "https")
        self._threads = anyio.CapacityLimiter(THREADS)

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        check_key(key)
        await self._call(lambda: self._write(key, data, content_type))

    async def get(self, key: str) -> bytes:
        check_key(key)
        return await self._call(lambda: self._read(key))

    async def delete(self, key: str) -> None:
        check_key(key)
        await self._call(lambda: self._client.remove_object(self._bucket, key))

    async def presigned_url(self, key: str, expires: timedelta) -> str | None:
        check_key(key)
        if expires > MAX_URL_LIFE:
            raise ValueError(f"a presigned URL lives at most {MAX_URL_LIFE}, not {expires}")
        if self._signer is None:
            return None
        return self._signer.presigned_get_object(self._bucket, key, expires=expires)

    async def list_keys(self, prefix: str, older_than: timedelta) -> AsyncIterator[str]:
        written_before = datetime.now(UTC) - older_than
        after = ""
        while page := await self._call(partial(self._list, prefix, after)):
            for name, written in page:
                if written <= written_before:
                    yield name
            after = page[-1][0]

    async def ready(self) -> None:
        if not await self._call(lambda: self._client.bucket_exists(self._bucket)):
            raise StoreUnavailable(f"bucket {self._bucket} is missing")

    async def ensure_bucket(self) -> None:
        await self._call(self._make_bucket)

    def _write(self, key: str, data: bytes, content_type: str) -> None:
        def write() -> None:
            self._client.put_object(self._bucket, key, io.BytesIO(data), len(data), content_type=content_type)

        try:
            write()
        except S3Error as error:
            if error.code != "NoSuchBucket":
                raise
            # The store was away, or empty, when this process started.
            self._make_bucket()
            write()

    def _read(self, key: str) -> bytes:
        try:
            response = self._client.get_object(self._bucket, key)
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise ObjectMissing(key) from error
            raise
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def _list(self, prefix: str, after: str) -> list[tuple[str, datetime]]:
        """The next keys in the server's order, and when they were written."""
        objects = self._client.list_objects(self._bucket, prefix=prefix, recursive=True, start_after=after)
        named = ((found.object_name, found.last_modified) for found in objects)
        return [(name, written) for name, written in islice(named, PAGE) if name and written]

    def _make_bucket(self) -> None:
        if self._client.bucket_exists(self._bucket):  # asked first: an account may use a bucket it may not make
            return
        try:
            self._client.make_bucket(self._bucket)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # another copy of us was quicker
                raise

    async def _call(self, work: Callable[[], _T]) -> _T:
        """`work` on a thread, until the deadline at most: a thread still stuck then is left to its own timeouts."""
        try:
            with anyio.fail_after(self._deadline):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"object store: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return error.code or "error" if isinstance(error, S3Error) else type(error).__name__
