"""`make run`: PORT (default 8000), HOST, VAR (data directory, default var), GANZHENG_DEMO (default true)."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from deploy.embedded import demo
from deploy.embedded.platform import SERVICES, Platform, build_platform, migrate_all
from deploy.embedded.postgres import EmbeddedPostgres
from shared.clock import SystemClock, business_day
from shared.telemetry import configure_logging


class _Server(uvicorn.Server):
    """Says where to look once it really listens."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets=sockets)  # type: ignore[arg-type]
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


def main() -> int:
    configure_logging(os.environ.get("GANZHENG_LOG_LEVEL", "WARNING"))
    var = Path(os.environ.get("VAR", "var")).resolve()
    is_demo = os.environ.get("GANZHENG_DEMO", "true").lower() in {"1", "true", "yes"}
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    # An interrupt during start-up must still stop PostgreSQL, so it has to arrive as an exception.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with EmbeddedPostgres(var / "postgres") as postgres:
            urls = {name: postgres.create_database(name) for name in SERVICES}
            platform = build_platform(urls, var, demo=is_demo)
            migrate_all(urls)
            asyncio.run(_serve(platform, var, host, port, is_demo=is_demo))
    except ValidationError as error:
        missing = ", ".join(f"GANZHENG_{str(e['loc'][0]).upper()} ({e['msg']})" for e in error.errors() if e["loc"])
        print(f"refusing to start outside demo mode: {missing or error.errors()[0]['msg']}", file=sys.stderr)
        return 2
    except BlockingIOError:
        print(f"another process is running on {var}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
