"""What the rows of a registry import change, each judged from what is known before it. Pure."""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from services.renewal.domain import number_key
from services.renewal.registry.file import RegisteredCertificate, RegistryRow, RowError

Outcome = Literal["created", "updated", "unchanged"]

COLUMN = "certificate_number"
TAKEN = RowError(COLUMN, "certificate_taken", "该证书编号已登记在其他人员名下")
REMOVED = RowError(
    COLUMN, "certificate_removed", "该证书已由登记员移除，没有重新登记；如确应恢复，请在“人员查询”中恢复该证书"
)
CORRECTED = RowError(
    COLUMN, "certificate_corrected", "该证书的岗位或有效期已由登记员更正，此行仍是更正前的内容，没有采用；请修改表格"
)
REPEATED = RowError(
    COLUMN,
    "certificate_repeated",
    "本表前面的行已有该证书，岗位或有效期与此行不同；登记的是此行的内容，请核对哪一行正确",
)
NAME_CORRECTED = RowError(
    "name", "name_corrected", "该人员的姓名已由登记员更正，此行仍是更正前的姓名，没有采用；请修改表格"
)
_WHILE_NUMBERED = "该人员有换证申请已审核通过、正在编号，此行的更改没有采用；请待编号完成后重新导入"
NAME_WHILE_NUMBERED = RowError("name", "being_numbered", _WHILE_NUMBERED)
CERTIFICATE_WHILE_NUMBERED = RowError(COLUMN, "being_numbered", _WHILE_NUMBERED)


@dataclass(frozen=True, slots=True)
class Holding:
    """A certificate and who holds it: `owner` is the person's blind index.

    `removed` and `corrected_to`, the right number of a wrong one, are what a registrar has made of it. `superseded` are
    the posts and last days that were put right.
    """

    owner: str
    certificate: RegisteredCertificate
    by_platform: bool = False
    removed: bool = False
    corrected_to: str | None = None
    superseded: tuple[tuple[str, date | None], ...] = ()

    @property
    def number(self) -> str:
        return self.certificate.number

    @property
    def shown(self) -> str:
        return self.certificate.shown

    @property
    def is_free(self) -> bool:
        """Whether another person's row may have the number."""
        return self.removed or self.corrected_to is not None


@dataclass(frozen=True, slots=True)
class Change:
    """What a row changes of the person `index`: the name and the holding, None where that stays as it is.

    `warning` is what somebody should look at, `old_name` the one that `name` takes the place of.
    """

    outcome: Outcome
    index: str
    name: str | None
    holding: Holding | None
    warning: RowError | None = None
    old_name: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """What is known at one moment of an import.

    Names by blind index, holdings by their numbers' `number_key`, and by blind index the names that were put right.
    `being_numbered` are by blind index the posts of approvals without number: the certificate that is about to be given
    shows the name, and names one of that post that it takes the place of. `digits` is how long the platform's own
    numbers are, None if they are not digits only. `stated` are the hashes of the numbers that rows of this
    import have told of: of numbers themselves a table has too many to keep.
    """

    names: MutableMapping[str, str]
    holdings: MutableMapping[str, tuple[Holding, ...]]
    superseded_names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    being_numbered: Mapping[str, frozenset[str]] = field(default_factory=dict)
    digits: int | None = None
    stated: set[int] = field(default_factory=set, compare=False)

    def assess(self, index: str, row: RegistryRow) -> Change | list[RowError]:
        """Judge a row; nothing is changed. A certificate stays with who had it first, and neither one that the platform
        gave nor what a registrar has put right is the import's to change."""
        known_name = self.names.get(index)
        name = row.name if row.name != known_name else None
        refusals = [NAME_CORRECTED] if name is not None and name in self.superseded_names.get(index, ()) else []
        holding, known, warning, is_new = None, None, None, False
        if (certificate := row.certificate) is not None:
            alike = self.holdings.get(number_key(certificate.number), ())
            known = next((each for each in alike if each.number == certificate.number), None)
            refusal = _refusal(index, certificate, known) if known else _duplicate(index, alike)
            refusals += [refusal] if refusal else []
            if known is None or known.owner != index:
                is_new = True
                holding, warning = Holding(index, certificate), self._warning(certificate, alike)
            elif not known.by_platform and known.certificate != certificate:
                holding = Holding(index, certificate, superseded=known.superseded)
                warning = REPEATED if hash(certificate.number) in self.stated else None
        if waiting := self.being_numbered.get(index):
            refusals += [] if name is None else [NAME_WHILE_NUMBERED]
            posts = _posts_at_stake(holding, None if is_new else known)
            refusals += [CERTIFICATE_WHILE_NUMBERED] if posts & waiting else []
        if refusals:
            return refusals
        if known_name is None or is_new:
            outcome: Outcome = "created"
        else:
            outcome = "unchanged" if name is None and holding is None else "updated"
        return Change(outcome, index, name, holding, warning, old_name=None if name is None else known_name)

    def _warning(self, certificate: RegisteredCertificate, alike: Iterable[Holding]) -> RowError | None:
        number = certificate.number
        other = next((each for each in alike if each.number != number and not each.is_free), None)
        if other is not None:
            difference = f"与另一人员已登记的证书编号 {other.shown} 只差开头的0或书写方式"
            message = f"{difference}，请核对 {certificate.shown} 是否正确"
            return RowError(COLUMN, "certificate_number_similar", message)
        if self.digits and number.isdecimal() and len(number) < self.digits:
            length = f"证书编号 {number} 只有{len(number)}位，本平台的编号为{self.digits}位"
            return RowError(COLUMN, "certificate_number_short", f"{length}，请核对开头的0是否丢失")
        return None

    def take(self, change: Change) -> None:
        """Go on to the moment after the change."""
        if change.name is not None:
            self.names[change.index] = change.name
        if (holding := change.holding) is not None:
            key = number_key(holding.number)
            others = (each for each in self.holdings.get(key, ()) if each.number != holding.number)
            self.holdings[key] = (*others, holding)

    def follow(self, other: "Snapshot", change: Change) -> None:
        """Know what another snapshot knows after the change, of what was changed."""
        if change.name is not None:
            self.names[change.index] = change.name
        if change.holding is not None:
            key = number_key(change.holding.number)
            self.holdings[key] = other.holdings[key]


def _posts_at_stake(holding: Holding | None, known: Holding | None) -> set[str]:
    """Give the posts of which a new or a changed certificate is another one than before; its last day is no matter."""
    if holding is None:
        return set()
    posts = {holding.certificate.post}
    return posts if known is None else posts ^ {known.certificate.post}


def _refusal(index: str, certificate: RegisteredCertificate, known: Holding) -> RowError | None:
    if known.owner != index:
        return None if known.is_free else TAKEN
    if known.removed:
        return REMOVED
    if known.corrected_to is not None:
        message = f"该证书编号已由登记员更正为 {known.corrected_to}，请修改表格"
        return RowError(COLUMN, "certificate_corrected", message)
    if (certificate.post, certificate.valid_until) in known.superseded:
        return CORRECTED
    return None


def _duplicate(index: str, alike: Iterable[Holding]) -> RowError | None:
    """What forbids a number that the same person holds in another writing."""
    own = [each for each in alike if each.owner == index]
    if not own:
        return None
    if all(each.removed for each in own):
        return REMOVED
    number = next((each.corrected_to or each.shown for each in own if not each.removed), "")
    message = (
        f"该人员已登记证书 {number}，与此编号只差开头的0或书写方式，应为同一本证书，没有重复登记；"
        "请在表格中改为该编号，如登记的编号有误，请在“人员查询”中更正"
    )
    return RowError(COLUMN, "certificate_duplicate", message)


def plan(rows: Iterable[tuple[str, RegistryRow]], snapshot: Snapshot) -> list[Change | list[RowError]]:
    """Assess the rows in order, each from what the rows before it would have changed; the snapshot takes it all up.

    A row with an error changes nothing.
    """
    planned = []
    for index, row in rows:
        assessed = snapshot.assess(index, row)
        if isinstance(assessed, Change):
            snapshot.take(assessed)
            if row.certificate is not None:
                snapshot.stated.add(hash(row.certificate.number))
        planned.append(assessed)
    return planned
