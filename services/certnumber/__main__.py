"""The commands of the certnumber service: the common ones, and `prove`."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any

from services.certnumber import views
from services.certnumber.app import SERVICE
from services.certnumber.service.proof import prove
from services.certnumber.settings import CertnumberSettings
from shared.persistence.db import Database
from shared.runtime.service import main
from shared.values.clock import SystemClock


async def _print_proof(settings: CertnumberSettings) -> bool:
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        async with database.transaction() as session:
            proof = views.proof(await prove(session, SystemClock()))
    finally:
        await database.close()
    print(proof.model_dump_json(indent=2))
    return proof.gapless


def _prove(_: argparse.Namespace) -> None:
    if not asyncio.run(_print_proof(CertnumberSettings())):
        sys.exit(1)


def _commands(subparsers: Any) -> dict[str, Callable[[Any], None]]:
    subparsers.add_parser("prove", help="print the proof that every series is 1..N; exit status 1 if one is not")
    return {"prove": _prove}


main(SERVICE, _commands)
