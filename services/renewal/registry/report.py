"""What became of the rows of an import."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from services.renewal.registry.file import RegistryRow, RowError
from services.renewal.registry.plan import Change
from shared.values.idnumber import mask

MAX_REPORTED = 1_000


@dataclass(frozen=True)
class Parsed:
    """A row by its number in the sheet; `index` is the blind index of a good one's person."""

    number: int
    found: RegistryRow | list[RowError]
    index: str


@dataclass(frozen=True)
class Renaming:
    """Another name for a known person, whose id number is masked, by the row's number in the sheet."""

    row: int
    id_number_masked: str
    old: str
    new: str


# What a row changes, or what is wrong with it.
Judged = Change | Sequence[RowError]


@dataclass
class ImportReport:
    """`failed` counts all bad rows, `flagged` those taken that somebody should look at, `renamings` those that give a
    known person another name; of `errors`, `warnings` and `renamed` the first thousand each are held, by the row."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    flagged: int = 0
    renamings: int = 0
    errors: list[tuple[int, RowError]] = field(default_factory=list)
    warnings: list[tuple[int, RowError]] = field(default_factory=list)
    renamed: list[Renaming] = field(default_factory=list)

    def count(self, parsed: Parsed, judged: Judged) -> None:
        """Count the row."""
        number = parsed.number
        self.rows += 1
        if isinstance(judged, Change):
            setattr(self, judged.outcome, getattr(self, judged.outcome) + 1)
            if judged.warning is not None:
                self.flagged += 1
                if len(self.warnings) < MAX_REPORTED:
                    self.warnings.append((number, judged.warning))
            if judged.name is not None and judged.old_name is not None and isinstance(parsed.found, RegistryRow):
                self.renamings += 1
                if len(self.renamed) < MAX_REPORTED:
                    person = mask(parsed.found.person.value)
                    self.renamed.append(Renaming(number, person, judged.old_name, judged.name))
        else:
            self.failed += 1
            room = MAX_REPORTED - len(self.errors)
            self.errors += [(number, error) for error in islice(judged, room)]
