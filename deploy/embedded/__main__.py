"""`make run`, or a command on its data while it is stopped.

Environment: PORT (default 8000), HOST, VAR (data directory, default var), GANZHENG_DEMO (default true).
"""

import argparse
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from deploy.embedded.postgres import EmbeddedPostgres
from deploy.embedded.preflight import Options, Refused, check_address, check_data, check_settings, read_options
from shared.runtime.commands import add_dead_letters


def main() -> int:
    arguments = _parse()
    # An interrupt during start-up must still stop PostgreSQL, so it has to arrive as an exception.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = read_options(os.environ)
        if arguments.command == "run":
            check_address(options.host, options.port)
        else:
            check_data(options.var)
        check_settings(options)
        _run(options, arguments)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded", description=__doc__)
    parser.add_argument("--reload-pages", action="store_true", help="show a changed template at once (make dev)")
    add_dead_letters(parser.add_subparsers(dest="command"))
    parser.set_defaults(command="run")
    return parser.parse_args()


def _run(options: Options, arguments: argparse.Namespace) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(1) as threads:
        postgres = EmbeddedPostgres(options.var / "postgres")
        started = threads.submit(stack.enter_context, postgres)
        # Importing the services takes about as long as PostgreSQL needs to start.
        from deploy.embedded import server
        from deploy.embedded.platform import SERVICES

        try:
            started.result()
        except BlockingIOError:
            raise Refused(f"VAR={options.var}: another process is running on it") from None
        urls = {name: postgres.create_database(name) for name in SERVICES}
        server.run(urls, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
