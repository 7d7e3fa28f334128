"""Whether two series can print one number, decided exactly and without printing any (docs/rules.md, section 6).

All numbers of a layout have one length, and what may stand at a place depends on the places before it only through the
posts and years still possible, whether the serial still equals the lowest one, and the check digit so far. So two
layouts are read side by side, place by place, keeping what is possible for both.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

from services.certnumber.domain import NOT_YEARLY, Layout, SeriesRule, Slot, lookup_key, sought_key

# Years ahead that are looked at: after a century {year:02} begins anew.
CENTURY = 100
POSTS = frozenset(f"{code:02d}" for code in range(100))
_DIGITS = "0123456789"
_ANY = frozenset(_DIGITS)
_NONE: frozenset[str] = frozenset()


class State(NamedTuple):
    """What the places read so far leave open. `lowest`: the serial's digits so far are those of the lowest one."""

    posts: frozenset[str]
    years: frozenset[str]
    lowest: bool = True
    check: int = 5


@dataclass(frozen=True)
class Output:
    """The numbers a layout may yet print: for these posts and years (of four digits), with serials after `last`.

    They are read as lookup keys, or as `sought` keys: then two that only differ in what a search ignores are one.
    """

    layout: Layout
    posts: frozenset[str]
    years: frozenset[str]
    last: int
    sought: bool = False

    @cached_property
    def is_empty(self) -> bool:
        return self.last >= self.layout.capacity or not self.posts or not self.years

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return self.layout.sought_slots if self.sought else self.layout.slots

    @cached_property
    def serial_at(self) -> int:
        """The serial's place in a key, from 0."""
        return next(at for at, slot in enumerate(self.slots) if slot.kind == "serial")

    @cached_property
    def lowest(self) -> str:
        """The lowest serial, as it is written."""
        return f"{self.last + 1:0{self.layout.serial_width}d}"

    @cached_property
    def texts(self) -> list[tuple[int, frozenset[str]]]:
        """The places in a key, from 0, where a post or a year begins, and what may stand there."""
        found = []
        for at, slot in enumerate(self.slots):
            before = self.slots[at - 1] if at else None
            continued = before is not None and (before.kind, before.index) == (slot.kind, slot.index - 1)
            if slot.kind in {"post", "year"} and not continued:
                values = self.posts if slot.kind == "post" else self.years
                found.append((at, frozenset(value[slot.index :] for value in values)))
        return found

    @cached_property
    def _settled(self) -> tuple[bool, ...]:
        """For each place, whether no later one shows the same value."""
        return tuple(
            all(later.kind != slot.kind for later in self.slots[at + 1 :]) for at, slot in enumerate(self.slots)
        )

    @cached_property
    def begin(self) -> State:
        """The state before the first place. What the number does not show makes no difference."""
        shown = {slot.kind for slot in self.slots}
        return State(self.posts if "post" in shown else _NONE, self.years if "year" in shown else _NONE)

    @property
    def characters(self) -> list[Set[str]]:
        """What may stand at each place, looked at alone."""
        shown = {"post": self.posts, "year": self.years}
        return [
            {slot.character} if slot.character else {value[slot.index] for value in shown.get(slot.kind, ())} or _ANY
            for slot in self.slots
        ]

    def within(self, places: Sequence[Set[str]]) -> Self:
        """Leave out the posts and years that show a digit which its place does not allow."""
        posts, years = self.posts, self.years
        for slot, allowed in zip(self.slots, places, strict=True):
            if slot.kind == "post":
                posts = frozenset(post for post in posts if post[slot.index] in allowed)
            elif slot.kind == "year":
                years = frozenset(year for year in years if year[slot.index] in allowed)
        return replace(self, posts=posts, years=years)

    def step(self, state: State, at: int, character: str) -> State | None:
        """Read `character` at a place; None if it cannot stand there."""
        slot = self.slots[at]
        posts, years, lowest, check = state
        digits = character
        if slot.kind == "literal":
            if character != slot.character:
                return None
            digits = slot.digits
        elif character not in _DIGITS:
            return None
        elif slot.kind == "serial":
            if lowest and character < self.lowest[slot.index]:
                return None
            lowest = lowest and character == self.lowest[slot.index]
        elif slot.kind == "check":
            return state if character == str((1 - _doubled(check)) % 10) else None
        else:
            of_post = slot.kind == "post"
            possible = frozenset(each for each in (posts if of_post else years) if each[slot.index] == character)
            if not possible:
                return None
            possible = _NONE if self._settled[at] else possible
            posts, years = (possible, years) if of_post else (posts, possible)
        if self.slots[-1].kind == "check":
            for digit in digits:
                check = (_doubled(check) + int(digit)) % 10
        return State(posts, years, lowest, check)

    def prints(self, number: str) -> bool:
        """Tell whether it prints this number, in a form that a key of its kind does not tell from it."""
        key = (sought_key if self.sought else lookup_key)(number)
        if self.is_empty or len(key) != len(self.slots):
            return False
        state: State | None = self.begin
        for at, character in enumerate(key):
            state = state and self.step(state, at, character)
        return state is not None


def _doubled(check: int) -> int:
    """Give ISO 7064 MOD 11,10's product of what has been read."""
    return (check or 10) * 2 % 11


def common_number(first: Output, second: Output) -> str | None:
    """Find the lowest number of the first that the second prints too; None if there is none.

    Two that only differ in what a search ignores are one, or nobody who looks it up would know which is meant.
    The number is given as the first's lookup key.
    """
    sought = replace(first, sought=True)
    found = _common_key(sought, replace(second, sought=True))
    if found is None:
        return None
    values = iter([character for slot, character in zip(sought.slots, found, strict=True) if not slot.character])
    return "".join(slot.character or next(values) for slot in first.slots)


def _common_key(first: Output, second: Output) -> str | None:
    if len(first.slots) != len(second.slots):
        return None
    narrowed = _narrowed(first, second)
    if narrowed is None:
        return None
    first, second = narrowed
    # Depth first and in the order of the numbers, never twice into one state: the first end reached is the lowest.
    stack = [(first.begin, second.begin, "")]
    seen = {(first.begin, second.begin, 0)}
    while stack:
        mine, theirs, text = stack.pop()
        at = len(text)
        if at == len(first.slots):
            return text
        following = []
        for character in first.slots[at].character or second.slots[at].character or _DIGITS:
            left = first.step(mine, at, character)
            right = left and second.step(theirs, at, character)
            if left and right and (left, right, at + 1) not in seen:
                seen.add((left, right, at + 1))
                following.append((left, right, text + character))
        stack += reversed(following)
    return None


def _narrowed(first: Output, second: Output) -> tuple[Output, Output] | None:
    """Leave out posts and years that the other's places forbid; None when nothing is left or two literals differ.

    The search decides without it, but may then read every serial before it comes to a literal that differs.
    """
    before = None
    while (first, second) != before:
        before = first, second
        if first.is_empty or second.is_empty:
            return None
        places = [one & other for one, other in zip(first.characters, second.characters, strict=True)]
        if not all(places):
            return None
        first, second = first.within(places), second.within(places)
    return first, second


def outputs(rule: SeriesRule, posts: Collection[str], last: Mapping[int, int], years: Iterable[int]) -> list[Output]:
    """List what a series may yet print for `posts` in `years`; `last` are its counters, by period."""
    by_last: dict[int, set[str]] = {}
    for year in years:
        by_last.setdefault(last.get(year if rule.yearly else NOT_YEARLY, 0), set()).add(f"{year:04d}")
    return [Output(rule.layout, frozenset(posts), frozenset(group), before) for before, group in by_last.items()]


def posts_of(rule: SeriesRule, rules: Iterable[SeriesRule]) -> frozenset[str]:
    """List the posts a series numbers; the default one those that no other of the active `rules` names."""
    if rule.posts is not None:
        return rule.posts
    return POSTS.difference(*(other.posts for other in rules if other.posts is not None))
