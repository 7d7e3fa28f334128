"""What the rows of a registry import change, each judged from what is known before it. Pure."""

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Literal

from services.renewal.registry.file import RegisteredCertificate, RegistryRow, RowError

Outcome = Literal["created", "updated", "unchanged"]
TAKEN = RowError("certificate_number", "certificate_taken", "该证书编号已登记在其他人员名下")


@dataclass(frozen=True, slots=True)
class Holding:
    """A certificate and who holds it: `owner` is the person's blind index."""

    owner: str
    certificate: RegisteredCertificate
    by_platform: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What a row changes of the person `index`: the name and the holding, None where that stays as it is."""

    outcome: Outcome
    index: str
    name: str | None
    holding: Holding | None


@dataclass(frozen=True)
class Snapshot:
    """Names by blind index and holdings by certificate number, at one moment of an import."""

    names: MutableMapping[str, str]
    holdings: MutableMapping[str, Holding]

    def assess(self, index: str, row: RegistryRow) -> Change | RowError:
        """Judge a row; nothing is changed. A certificate stays with who had it first, and one that the platform gave
        is not the import's to change."""
        known_name, is_known = self.names.get(index), index in self.names
        name = row.name if row.name != known_name else None
        holding = None
        is_new_certificate = False
        if row.certificate is not None:
            known = self.holdings.get(row.certificate.number)
            if known is not None and known.owner != index:
                return TAKEN
            is_new_certificate = known is None
            if known is None or (not known.by_platform and known.certificate != row.certificate):
                holding = Holding(index, row.certificate)
        if not is_known or is_new_certificate:
            return Change("created", index, name, holding)
        return Change("unchanged" if name is None and holding is None else "updated", index, name, holding)

    def take(self, change: Change) -> None:
        """Go on to the moment after the change."""
        if change.name is not None:
            self.names[change.index] = change.name
        if change.holding is not None:
            self.holdings[change.holding.certificate.number] = change.holding


def plan(rows: Iterable[tuple[str, RegistryRow]], snapshot: Snapshot) -> list[Change | RowError]:
    """Assess the rows in order, each from what the rows before it would have changed; the snapshot takes it all up.

    A row with an error changes nothing.
    """
    planned = []
    for index, row in rows:
        assessed = snapshot.assess(index, row)
        if isinstance(assessed, Change):
            snapshot.take(assessed)
        planned.append(assessed)
    return planned
