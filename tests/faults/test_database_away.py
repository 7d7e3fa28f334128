"""A service's database gone, silent, read-only: others go on, nothing acknowledged is lost, and nobody has to help."""

from deploy.embedded.platform import SERVICES
from tests.support.sql import throw_out
from tests.support.stack import Stack
from tests.support.witness import Witness


async def test_who_was_throw_out_comes_back_unnoticed(stack: Stack, witness: Witness) -> None:
    """All connections ended, as when a server hands over: no pool gives out one that is dead."""
    for name in SERVICES:
        throw_out(stack.urls[name])
    with witness.never_refused():
        for _ in range(3):
            for case in witness.cases:
                await witness.caller.read("renewal", f"/applications/{case.id}", "enterprise")
                await witness.caller.read("review", f"/items/{case.id}", "reviewer")
                await witness.caller.read("certnumber", "/proof", "reviewer")
    await witness.rounds()
