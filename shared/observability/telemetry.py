"""Structured logs without personal data, and the trace context that follows an action through requests and events."""

import logging
import re
import secrets
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import structlog

_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
ID_NUMBER = re.compile(r"(?<![0-9A-Za-z])(\d{4})(?:\d{7}|\d{10,13})([\dXx]{4})(?![0-9A-Za-z])")
SHORTEST_ID_NUMBER = 15
SECRET_KEYS = re.compile(r"password|token|secret|session_id|authorization|answer|id_number|phone", re.IGNORECASE)


def new_traceparent() -> str:
    """Make a fresh W3C trace context."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def current_traceparent() -> str:
    """Give the trace context of this request or message; a new one outside of both."""
    value = _traceparent.get()
    if value is None:
        value = new_traceparent()
        _traceparent.set(value)
    return value


def bind_trace(traceparent: str | None) -> str:
    """Begin a request or message: continue `traceparent` if it is well-formed, else start a new trace.

    Returns the trace id (32 hex digits), which every log line of this action carries.
    """
    match = TRACEPARENT.fullmatch(traceparent or "")
    value = traceparent if match and traceparent else new_traceparent()
    _traceparent.set(value)
    trace_id = value.split("-")[1]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(trace_id=trace_id)
    return trace_id


def _redact_text(value: str) -> str:
    if len(value) < SHORTEST_ID_NUMBER:
        return value
    return ID_NUMBER.sub(r"\1**********\2", value)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets and id numbers, whatever a caller logs, as the last processor before rendering."""
    for key, value in event.items():
        event[key] = _redact_value(key, value)
    return event


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return SECRET_KEYS.search(key) is not None


def _redact_value(key: str, value: Any) -> Any:
    if _names_a_secret(key) and not isinstance(value, bool | int):
        return "***"
    if isinstance(value, str):
        return _redact_text(value)
    if isinstance(value, bool | int | float | type(None)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _redact_value(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_value(key, inner) for inner in value]
    return _redact_text(str(value))


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return _redact_text(super().format(record))


def configure_logging(level: str = "INFO") -> None:
    """Write JSON lines on standard error for our own loggers and for the libraries'."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        _RedactingFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("aio_pika", "aiormq", "alembic", "urllib3", "httpcore2", "httpx2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Every retry of an export, beside the line for its failure.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    # An error for every try to connect during an outage, which our own broker.reconnect reports already.
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)


def get_logger(name: str) -> Any:
    return structlog.stdlib.get_logger(name)
