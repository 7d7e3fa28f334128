"""No id number and no secret leaves by the log, whoever writes it; and the trace goes on."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from deploy.synthetic import id_number
from shared.observability.telemetry import (
    bind_trace,
    configure_logging,
    current_traceparent,
    get_logger,
    new_traceparent,
)

ID_NUMBER = id_number()
FIFTEEN = "360199900101001"
PASSWORD = "canary-Passw0rd"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What our formatter writes."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("DEBUG")
    try:
        yield stream
    finally:
        root.handlers = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


def raise_with(text: str) -> None:
    raise ValueError(f"cannot use {text}")


class TestRedaction:
    @pytest.mark.parametrize("number", [ID_NUMBER, FIFTEEN, ID_NUMBER[:-1] + "x"])
    def test_an_id_number_never_gets_out(self, log: io.StringIO, number: str) -> None:
        ours, foreign = get_logger("ours"), logging.getLogger("foreign")
        ours.info(f"seen {number}")
        ours.info("kwargs", who=number, nested={"a": [number]}, number=int(number[:15] + "000"[: len(number) - 15]))
        ours.info("object", it=type("Thing", (), {"__repr__": lambda _: number})())
        foreign.warning("message %s", number)
        foreign.warning(f"f-string {number}, and 编号{number}在此")
        foreign.warning("mapping %(who)s", {"who": number})
        foreign.info("extra", extra={"who": number})
        for logger in (ours, foreign):
            try:
                raise_with(number)
            except ValueError:
                logger.exception("failed")
        bind_trace(None)
        structlog.contextvars.bind_contextvars(who=number)
        ours.info("from the context")
        written = log.getvalue()
        assert written.count("\n") >= 10
        assert number not in written
        assert number[4:-4] not in written

    @pytest.mark.parametrize(
        "name", ["password", "old_password", "access_token", "Authorization", "secret", "id_number", "contact_phone"]
    )
    def test_a_value_under_a_secret_name_never_gets_out(self, log: io.StringIO, name: str) -> None:
        get_logger("ours").info("request", **{name: PASSWORD})
        get_logger("ours").info("request", body={name: PASSWORD, "more": [{name: PASSWORD}]})
        assert PASSWORD not in log.getvalue()

    def test_the_rest_stays_readable(self, log: io.StringIO) -> None:
        get_logger("ours").info("numbered", number="00707100019207", rows=3, ok=True, who=ID_NUMBER)
        line = json.loads(log.getvalue())
        assert line["number"] == "00707100019207"
        assert (line["event"], line["rows"], line["ok"], line["level"], line["logger"]) == (
            "numbered", 3, True, "info", "ours",
        )  # fmt: skip
        assert line["who"] == f"{ID_NUMBER[:4]}**********{ID_NUMBER[-4:]}"

    def test_every_line_is_json(self, log: io.StringIO) -> None:
        try:
            raise_with("two\nlines")
        except ValueError:
            logging.getLogger("foreign").exception("broken\nin two")
        (line,) = log.getvalue().splitlines()
        assert "two\nlines" in json.loads(line)["exception"]


PARENT = "00-2b1c87b9ab4a5da95626c9bfe3eea148-6e8c6e007f4e41af-01"


class TestTrace:
    def test_a_well_formed_parent_is_continued(self, log: io.StringIO) -> None:
        parent = new_traceparent()
        assert bind_trace(parent) == parent.split("-")[1]
        assert current_traceparent() == parent
        get_logger("ours").info("inside")
        assert json.loads(log.getvalue())["trace_id"] == parent.split("-")[1]

    @pytest.mark.parametrize(
        "parent",
        [None, "", "nonsense", PARENT.upper(), PARENT + "\n"],
    )
    def test_anything_else_starts_a_new_one(self, parent: str | None) -> None:
        trace_id = bind_trace(parent)
        assert len(trace_id) == 32
        assert trace_id not in (parent or "")

    def test_one_action_s_context_does_not_leak_into_the_next(self, log: io.StringIO) -> None:
        bind_trace(None)
        structlog.contextvars.bind_contextvars(enterprise="one")
        bind_trace(None)
        get_logger("ours").info("next")
        assert "enterprise" not in json.loads(log.getvalue())
