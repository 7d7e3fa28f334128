"""Build, migrate, seed and serve: what `make run` does once PostgreSQL is there."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from socket import socket

import uvicorn
from pydantic import ValidationError

from deploy.embedded import demo
from deploy.embedded.platform import Platform, build_platform, migrate_all
from shared.clock import SystemClock, business_day
from shared.telemetry import configure_logging


class _Server(uvicorn.Server):
    """Says where to look once it really listens."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            print(self._greeting, flush=True)


async def _serve(platform: Platform, var: Path, host: str, port: int, *, is_demo: bool) -> None:
    address = f"http://localhost:{port}"
    greeting = f"\n  赣证平台已就绪：{address}\n"
    if is_demo:
        await demo.seed(platform)
        samples = demo.write_samples(var / "samples")[0].parent
        greeting = demo.welcome(address, business_day(SystemClock().now()), samples)
    config = uvicorn.Config(
        platform.app,
        host=host,
        port=port,
        log_config=None,
        # The access log would repeat query strings, which may hold an id number.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    await _Server(config, greeting).serve()


def run(urls: Mapping[str, str], var: Path, host: str, port: int, *, is_demo: bool) -> int:
    """Until interrupted; the process's exit status."""
    configure_logging(os.environ.get("GANZHENG_LOG_LEVEL", "WARNING"))
    try:
        platform = build_platform(urls, var, demo=is_demo)
    except ValidationError as error:
        missing = ", ".join(f"GANZHENG_{str(e['loc'][0]).upper()} ({e['msg']})" for e in error.errors() if e["loc"])
        print(f"refusing to start outside demo mode: {missing or error.errors()[0]['msg']}", file=sys.stderr)
        return 2
    migrate_all(urls)
    asyncio.run(_serve(platform, var, host, port, is_demo=is_demo))
    return 0
