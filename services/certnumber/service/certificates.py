"""What anyone may ask about a certificate's number."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.errors import CertificateNotFound
from services.certnumber.models import LedgerEntry


@dataclass(frozen=True)
class Certificate:
    """A number's ledger entry, and the valid one that has taken its place."""

    entry: LedgerEntry
    successor: LedgerEntry | None


async def find_certificate(session: AsyncSession, number: str) -> Certificate:
    """Look a number up, whatever the width of its characters. Raises CertificateNotFound."""
    entry = await queries.find_entry(session, number)
    if entry is None:
        raise CertificateNotFound
    return Certificate(entry, await queries.find_successor(session, entry.number))
