"""A private PostgreSQL that can be killed, and started again where it was."""

import os
import signal
from contextlib import suppress

from deploy.embedded.postgres import EmbeddedPostgres
from tests.support.wait import PATIENCE, poll


class MortalPostgres(EmbeddedPostgres):
    """Same address and data in every life."""

    @property
    def alive(self) -> bool:
        return self._left_running()

    def kill(self) -> None:
        """As `kill -9` does: nothing is put in order, and the connections are gone."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self._cluster / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        poll(lambda: not self.alive, PATIENCE, "the server to be gone")

    def revive(self) -> None:
        """Start it again; its processes of before have to be gone for that, which takes them a moment."""

        def started() -> bool:
            with suppress(RuntimeError):
                self._start()
                return True
            return False

        poll(started, PATIENCE, "the server to start again")
