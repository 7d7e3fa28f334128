"""What each row of a registry import changes, judged from what is known before it. Pure."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from services.renewal.registry.file import RegistryRow, RowError

Outcome = Literal["created", "updated", "unchanged"]
TAKEN = RowError("certificate_number", "certificate_taken", "该证书编号已登记在其他人员名下")


class Held(NamedTuple):
    """`owner` is the holder's blind index, None for somebody whom the rows at hand do not name."""

    owner: str | None
    post: str
    valid_until: date | None
    by_platform: bool


@dataclass(frozen=True)
class Known:
    """Names by blind index and certificates by number, as they are after the rows taken so far."""

    names: MutableMapping[str, str]
    certificates: MutableMapping[str, Held]

    def take(self, index: str, row: RegistryRow) -> Outcome | RowError:
        """Only what changes is assigned. A certificate stays with who had it first; the platform's own are not
        the import's to change."""
        outcome: Outcome = "unchanged"
        if self.names.get(index) != row.name:
            outcome = "updated" if index in self.names else "created"
            self.names[index] = row.name
        if row.certificate is None:
            return outcome
        number, new = row.certificate.number, Held(index, row.certificate.post, row.certificate.valid_until, False)
        known = self.certificates.get(number)
        if known is not None and known.owner != index:
            return TAKEN
        if known is None or (not known.by_platform and known != new):
            self.certificates[number] = new
            return "created" if known is None or outcome == "created" else "updated"
        return outcome
