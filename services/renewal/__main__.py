"""`python -m services.renewal COMMAND`: the common commands, and the pictures' backup."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any

from services.renewal.app import SERVICE, build
from services.renewal.pictures.transfer import check_pictures, export_pictures, import_pictures
from services.renewal.settings import RenewalSettings
from shared.runtime.service import main


def _commands(subparsers: Any) -> dict[str, Callable[[Any], None]]:
    parser = subparsers.add_parser("pictures", help="back up the pictures: a tar stream out of the store or into it")
    parser.add_argument(
        "action",
        choices=["export", "import", "check"],
        help="export: all but the keys named on standard input, a line each; check: read all and compare",
    )
    return {"pictures": lambda arguments: asyncio.run(_pictures(arguments))}


async def _pictures(arguments: argparse.Namespace) -> None:
    container = build(RenewalSettings())
    try:
        match arguments.action:
            case "export":
                known = set(sys.stdin.read().split())
                exported = await export_pictures(container, sys.stdout.buffer, known)
                print(f"{exported} pictures exported", file=sys.stderr)
            case "import":
                print(f"{await import_pictures(container.store, sys.stdin.buffer)} pictures imported")
            case _:
                number, bad = await check_pictures(container)
                print(f"{number} pictures, {len(bad)} missing or damaged", *bad, sep="\n")
                if bad:
                    sys.exit(1)
    finally:
        await container.close()


main(SERVICE, _commands)
