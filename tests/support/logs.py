"""What our own code logs, before any output is chosen."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import structlog
from structlog.testing import LogCapture


@contextmanager
def logged_by(module: ModuleType) -> Iterator[list[dict[str, Any]]]:
    """Collect the module's log lines, each with its `event` and `log_level`, for as long as the block lasts."""
    capture = LogCapture()
    with patch.object(module, "log", structlog.wrap_logger(None, processors=[capture])):
        yield capture.entries  # type: ignore[misc]
