"""What anyone may ask about a certificate's number."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.domain import Layout, lookup_key
from services.certnumber.errors import CertificateNotFound
from services.certnumber.models import LedgerEntry, Series


@dataclass(frozen=True)
class Certificate:
    """A number's ledger entry, and the valid one that has taken its place."""

    entry: LedgerEntry
    successor: LedgerEntry | None


async def find_certificate(session: AsyncSession, number: str) -> Certificate:
    """Look a number up, whatever the width of its characters. Raises CertificateNotFound."""
    entry = await queries.find_entry(session, number)
    if entry is None:
        raise CertificateNotFound(_incomplete(number, await queries.active_series(session)))
    return Certificate(entry, await queries.find_successor(session, entry.number))


def _incomplete(number: str, series: Sequence[Series]) -> str | None:
    """Say so of a number that is too short to be one of these series."""
    widths = {len(Layout.parse(one.layout, yearly=one.yearly).slots) for one in series}
    if not widths or len(lookup_key(number)) >= min(widths):
        return None
    places = "或".join(str(width) for width in sorted(widths))
    return f"编号不完整：请按证书完整输入，本平台的证书编号为 {places} 位，包括开头的 0"
