"""Build, migrate, seed and serve: what `make run` does once PostgreSQL is there."""

import argparse
import os
from collections.abc import Mapping
from socket import socket

import uvicorn

from deploy.embedded import demo
from deploy.embedded.platform import Platform, build_platform, migrate_all
from deploy.embedded.preflight import Options
from shared.contracts.topology import QUEUES
from shared.observability.telemetry import configure_logging
from shared.observability.tracing import configure_tracing
from shared.runtime import eventloop
from shared.runtime.service import manage_dead_letters


class _Server(uvicorn.Server):
    """Says where to look once it really listens."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            print(self._greeting, flush=True)


async def _serve(platform: Platform, options: Options) -> None:
    address = f"http://localhost:{options.port}"
    greeting = f"\n  赣证平台已就绪：{address}\n"
    if options.demo:
        first_day = await demo.seed(platform)
        samples = demo.write_samples(options.var / "samples")[0].parent
        greeting = demo.welcome(address, first_day, samples)
    config = uvicorn.Config(
        platform.app,
        host=options.host,
        port=options.port,
        log_config=None,
        # The access log would repeat query strings, which may hold an id number.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    async with platform.operations():
        await _Server(config, greeting).serve()


async def _treat_dead_letters(platform: Platform, arguments: argparse.Namespace) -> None:
    try:
        await manage_dead_letters(platform.bus, QUEUES, arguments)
    finally:
        await platform.close()


def run(urls: Mapping[str, str], options: Options, arguments: argparse.Namespace) -> None:
    """Serve until interrupted, or treat the dead letters."""
    configure_logging(os.environ.get("GANZHENG_LOG_LEVEL", "WARNING").upper())
    platform = build_platform(
        urls,
        options.var,
        demo=options.demo,
        public_url=f"http://localhost:{options.port}",
        reload_pages=arguments.reload_pages,
    )
    migrate_all(urls)
    if arguments.command == "dead-letters":
        eventloop.run(_treat_dead_letters(platform, arguments))
    else:
        configure_tracing()
        eventloop.run(_serve(platform, options))
