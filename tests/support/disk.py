"""A small disk of its own, which a test may fill without anybody else's being full."""

import pwd
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

MEGABYTE = 1024 * 1024


class NoDisk(Exception):
    """Only root may have one; the message says so."""


class SmallDisk:
    """A file system in memory, mounted on `path` while the block lasts; where none is `wanted`, or can be, a plain
    directory, which cannot be filled."""

    def __init__(self, path: Path, *, megabytes: int, owner: str = "root", wanted: bool = True) -> None:
        self.path = path
        self._size = megabytes
        self._owner = owner
        self._problem: str | None = None if wanted else "no small disk was asked for"

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        if self._problem is None:
            self._mount()
        return self

    def _mount(self) -> None:
        try:
            user = pwd.getpwnam(self._owner)
            options = f"size={self._size}m,mode=0755,uid={user.pw_uid},gid={user.pw_gid}"
            mount = ["mount", "-t", "tmpfs", "-o", options, "ganzheng-test", str(self.path)]
            subprocess.run(mount, check=True, capture_output=True, text=True)
        except (OSError, KeyError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            self._problem = f"a small disk has to be mounted, and only root may: {said.strip()}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._problem is None:
            # Lazily: whoever still holds a file of it keeps it for that long and no longer.
            subprocess.run(["umount", "--lazy", self.path], check=True)

    @property
    def is_small(self) -> bool:
        return self._problem is None

    def fill(self, *, leaving: int = 0) -> None:
        """Leave not a byte, or so many megabytes. Raises NoDisk."""
        if self._problem is not None:
            raise NoDisk(self._problem)
        with (self.path / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while shutil.disk_usage(self.path).free > leaving * MEGABYTE:
                ballast.write(bytes(MEGABYTE))

    def empty(self) -> None:
        (self.path / "ballast").unlink(missing_ok=True)
