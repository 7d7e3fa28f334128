"""What a list of applications is narrowed by, on its way between form, address and API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode

from services.portal.seal import seal, unseal

# What people type may be an id number even where none is asked for, so all of it travels sealed.
TYPED = ("name", "id_number", "certificate_number", "enterprise")
CHOSEN = ("post", "status", "added_from", "added_to")
PLACE = ("limit", "cursor")
SEALED = "sealed"


@dataclass(frozen=True)
class Filters:
    """`typed`, `chosen` and `place` hold only what is given; `sealed` is `typed` as it stands in the address.

    `lost`: the address was made by another account, so what was typed there is unreadable.
    """

    typed: Mapping[str, str]
    chosen: Mapping[str, str]
    place: Mapping[str, str]
    sealed: str
    lost: bool = False

    @classmethod
    def of_query(cls, query: str, account_key: str) -> Self:
        """Read them from an address."""
        given = dict(parse_qsl(query))
        typed = unseal(account_key, given[SEALED]) if SEALED in given else {}
        return cls(
            typed or {},
            _picked(given, CHOSEN),
            _picked(given, PLACE),
            given.get(SEALED, "") if typed else "",
            lost=typed is None,
        )

    @classmethod
    def of_form(cls, form: Mapping[str, str], account_key: str) -> Self:
        """Read them from the posted form, which begins at the first page."""
        typed = _picked(form, TYPED)
        return cls(typed, _picked(form, CHOSEN), _picked(form, ("limit",)), seal(account_key, typed) if typed else "")

    @property
    def values(self) -> dict[str, str]:
        """For the form's fields."""
        return {**dict.fromkeys((*TYPED, *CHOSEN, "limit"), ""), **self.typed, **self.chosen, **self.place}

    @property
    def search(self) -> dict[str, str]:
        """The API's filters, without the position in the list."""
        return {**self.typed, **self.chosen}

    @property
    def backwards(self) -> bool:
        """Whether the time asked for ends before it begins."""
        start, end = self.chosen.get("added_from"), self.chosen.get("added_to")
        return bool(start and end and end < start)

    @property
    def query(self) -> str:
        """The address's query: filters and position, nothing typed in the clear."""
        return self.at(self.place.get("cursor"))

    def at(self, cursor: str | None) -> str:
        """Return the query of another page of the list."""
        given = {**self.chosen, **self.place, SEALED: self.sealed, "cursor": cursor or ""}
        return urlencode({name: value for name, value in given.items() if value})


def _picked(given: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: given[name] for name in names if given.get(name)}
