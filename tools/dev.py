"""`make dev`: the embedded platform, started anew whenever its code changes; a changed template shows at once.

Takes the environment of `make run` (PORT, HOST, VAR, GANZHENG_DEMO). Data stays in VAR, Ctrl-C ends it. Code that does
not start says why and is tried again after the next change.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from watchfiles import PythonFilter, watch

ROOT = Path(__file__).parents[1]
WATCHED = [ROOT / name for name in ("services", "shared", "deploy")]
COMMAND = (sys.executable, "-m", "deploy.embedded", "--reload-pages")
# Articles and the like are read at the start, as code is.
WATCHED_KINDS = PythonFilter(extra_extensions=(".toml",))
DEBOUNCE_MS = 400


@contextmanager
def running() -> Iterator[None]:
    """Run the platform beside the block; it has ended, with its PostgreSQL, when the block has."""
    # In a group of its own, so that Ctrl-C reaches this process only and the platform is interrupted once, below.
    process = subprocess.Popen(COMMAND, cwd=ROOT, process_group=0)  # noqa: S603
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def main() -> None:
    """Run until interrupted."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        while True:
            with running():
                changes = next(watch(*WATCHED, watch_filter=WATCHED_KINDS, debounce=DEBOUNCE_MS))
            names = sorted({str(Path(path).relative_to(ROOT)) for _, path in changes})
            print(f"  changed: {', '.join(names)}; starting anew", flush=True)


if __name__ == "__main__":
    main()
