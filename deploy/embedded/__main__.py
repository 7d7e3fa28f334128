"""`make run`: PORT (default 8000), HOST, VAR (data directory, default var), GANZHENG_DEMO (default true)."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from deploy.embedded.postgres import EmbeddedPostgres


def main() -> int:
    var = Path(os.environ.get("VAR", "var")).resolve()
    is_demo = os.environ.get("GANZHENG_DEMO", "true").lower() in {"1", "true", "yes"}
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    # An interrupt during start-up must still stop PostgreSQL, so it has to arrive as an exception.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack, ThreadPoolExecutor(1) as threads:
            postgres = EmbeddedPostgres(var / "postgres")
            started = threads.submit(stack.enter_context, postgres)
            # Importing the services takes about as long as PostgreSQL needs to start.
            from deploy.embedded import server
            from deploy.embedded.platform import SERVICES

            started.result()
            urls = {name: postgres.create_database(name) for name in SERVICES}
            return server.run(urls, var, host, port, is_demo=is_demo)
    except BlockingIOError:
        print(f"another process is running on {var}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
