"""What must hold whenever all has arrived: at the end of each month, and of the year."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from deploy.embedded.platform import SERVICES
from shared.values.clock import business_day
from tests.simulation.enterprises import Enterprises
from tests.simulation.people import YEARS, birthday
from tests.simulation.reviewers import Reviewers
from tests.simulation.world import Violation, World

DECISIONS = ("approve", "reject", "withdraw")
# Reviewers leave a thing once, and work on every day that somebody works on; a share may be refused and come again.
WAITS = 12


class Checks:
    """`look` looks at everything. What only grows is remembered from one look to the next."""

    def __init__(self, world: World, enterprises: Enterprises, reviewers: Reviewers) -> None:
        self._world = world
        self._enterprises = enterprises
        self._reviewers = reviewers
        self._entries: dict[str, int] = {}
        self._judged = 0

    async def look(self, longest_wait: timedelta) -> None:
        """Raises Violation, which names all that does not hold."""
        applications = {row["id"]: row for row in await self._world.fetch("renewal", _APPLICATIONS)}
        found = [
            *self._nothing_is_dead(),
            *self._nothing_is_lost(applications),
            *await self._nothing_is_stuck(longest_wait),
            *await self._histories_are_whole(),
            *await self._certificates_agree(applications),
            *await self._series_are_whole(),
            *await self._the_desk_agrees(applications),
            *await self._decisions_are_answered(),
            *await self._trails_are_whole(),
            *await self._nobody_was_too_old(),
            *await self._enterprises_agree(),
        ]
        if found:
            more = f" and {len(found) - 20} more" if len(found) > 20 else ""
            raise Violation("; ".join(found[:20]) + more)

    def _nothing_is_dead(self) -> Iterable[str]:
        yield from (f"dead letter: {letter}" for letter in self._world.network.dead)

    def _nothing_is_lost(self, applications: Mapping[UUID, Any]) -> Iterable[str]:
        for key, revision in self._enterprises.submitted.items():
            present = applications[key]["revision"] if key in applications else None
            if present != revision:
                yield f"{key}: revision {revision} was acknowledged, {present} is there"
        for key, row in applications.items():
            if row["revision"] and key not in self._enterprises.submitted:
                yield f"{key}: submitted, and nobody was told so"

    async def _nothing_is_stuck(self, longest: timedelta) -> Iterable[str]:
        rows = await self._world.fetch("renewal", _WAITING, before=self._world.agenda.entered - longest)
        return [f"{row['id']}: {row['status']} since {row['updated_at']}" for row in rows]

    async def _histories_are_whole(self) -> Iterable[str]:
        return [f"{row['id']}: its history is not its state" for row in await self._world.fetch("renewal", _BROKEN)]

    async def _certificates_agree(self, applications: Mapping[UUID, Any]) -> Iterable[str]:
        """Every certified application has one valid number, in the ledger and in the registry, and no other has any."""
        expected = {key: row["certificate_number"] for key, row in applications.items() if row["status"] == "certified"}
        found = []
        for place, service, query in (("ledger", "certnumber", _VALID), ("registry", "renewal", _HELD)):
            rows = [(row["application_id"], row["number"]) for row in await self._world.fetch(service, query)]
            present = dict(rows)
            if len(present) != len(rows):
                found.append(f"the {place} has {len(rows) - len(present)} certificates too many")
            found += _differences(f"the {place}'s valid number", expected, present)
        waiting = await self._world.fetch("certnumber", "SELECT application_id FROM approvals WHERE status = 'waiting'")
        return found + [f"{row['application_id']}: approved and not numbered" for row in waiting]

    async def _series_are_whole(self) -> Iterable[str]:
        found = []
        for row in await self._world.fetch("certnumber", _SERIES):
            name = f"{row['name']} {row['period']}"
            if not row["numbers"] == row["highest"] == row["distinct"] == row["last"] or row["lowest"] != 1:
                found.append(f"{name}: {dict(row)}")
            if row["misplaced"]:
                found.append(f"{name}: {row['misplaced']} numbers of approvals of another year")
        return found

    async def _the_desk_agrees(self, applications: Mapping[UUID, Any]) -> Iterable[str]:
        columns = ("status", "revision", "decision_no", "certificate_number")
        shown = {
            row["application_id"]: tuple(row[name] for name in columns)
            for row in await self._world.fetch("review", "SELECT * FROM items")
        }
        expected = {key: tuple(row[name] for name in columns) for key, row in applications.items() if row["revision"]}
        return _differences("the desk", expected, shown)

    async def _decisions_are_answered(self) -> Iterable[str]:
        """What the desk acknowledged is a decision, an audit entry and an answer each; what was done, a change."""
        accepted = sum(self._reviewers.accepted[action] for action in DECISIONS)
        [desk] = await self._world.fetch("review", _DECIDED, actions=list(DECISIONS))
        [answers] = await self._world.fetch("renewal", _ANSWERED, actions=list(DECISIONS))
        figures = {"acknowledged": accepted, **desk, "answers": answers["answers"]}
        found = [f"decisions: {figures}"] if len(set(figures.values())) > 1 else []
        if answers["taken"] != answers["changes"]:
            found.append(f"decisions taken {answers['taken']}, changes of state {answers['changes']}")
        return found

    async def _trails_are_whole(self) -> Iterable[str]:
        found = []
        [opened] = await self._world.fetch("review", _OPENED)
        if opened["number"] != self._reviewers.accepted["opened"]:
            found.append(f"{self._reviewers.accepted['opened']} looks at an id number, {opened['number']} entries")
        for service in SERVICES:
            [row] = await self._world.fetch(service, "SELECT count(*) AS number FROM audit")
            if row["number"] < self._entries.get(service, 0):
                found.append(f"{service}: audit entries are gone")
            self._entries[service] = row["number"]
        return found

    async def _nobody_was_too_old(self) -> Iterable[str]:
        """By the plain rule, and every submission there is: who approves judges by the day of it."""
        found = []
        for row in await self._world.fetch("renewal", _SUBMITTED):
            last = birthday(row["birth_date"], YEARS[row["sex"]])
            if business_day(row["submitted_at"]) > last:
                found.append(f"{row['application_id']}: submitted at {row['submitted_at']}, last day {last}")
        return found

    async def _enterprises_agree(self) -> Iterable[str]:
        query = "SELECT id, name, revision FROM enterprises"
        here, there = [
            {row["id"]: (row["name"], row["revision"]) for row in await self._world.fetch(service, query)}
            for service in ("enterprise", "renewal")
        ]
        return _differences("renewal's enterprise", here, there)


def _differences(what: str, expected: Mapping[UUID, Any], present: Mapping[UUID, Any]) -> list[str]:
    keys = [key for key in {**expected, **present} if expected.get(key) != present.get(key)]
    return [f"{key}: {what} is {present.get(key)}, not {expected.get(key)}" for key in keys]


_APPLICATIONS = "SELECT id, status, revision, decision_no, certificate_number FROM applications ORDER BY sequence"
_WAITING = """
SELECT id, status, updated_at FROM applications
WHERE status = 'approved' OR status = 'pending_review' AND updated_at < :before
ORDER BY sequence
"""
_BROKEN = """
SELECT a.id FROM applications a JOIN (
    SELECT application_id, count(*) AS changes, max(change_no) AS last FROM history GROUP BY application_id
) h ON h.application_id = a.id JOIN history l ON l.application_id = a.id AND l.change_no = h.last
WHERE (h.changes, h.last) IS DISTINCT FROM (a.change_no::bigint, a.change_no)
   OR (l.status, l.revision, l.decision_no) IS DISTINCT FROM (a.status, a.revision, a.decision_no)
"""
_VALID = "SELECT application_id, number FROM ledger WHERE state = 'valid'"
_HELD = """
SELECT application_id, certificate_number AS number FROM held_certificates
WHERE application_id IS NOT NULL AND voided_at IS NULL
"""
_SERIES = """
SELECT s.name, l.period, c.last, count(*) AS numbers, count(DISTINCT l.serial) AS distinct, min(l.serial) AS lowest,
       max(l.serial) AS highest, count(*) FILTER (
           WHERE s.yearly AND NOT (
               l.period = extract(year FROM a.approved_at AT TIME ZONE 'Asia/Shanghai')
               AND l.number LIKE 'JX' || l.period || '%' )) AS misplaced
FROM ledger l JOIN series s ON s.id = l.series_id
JOIN counters c ON c.series_id = l.series_id AND c.period = l.period
JOIN approvals a ON a.application_id = l.application_id AND a.decision_no = l.decision_no
GROUP BY s.name, l.period, c.last ORDER BY s.name, l.period
"""
_DECIDED = """
SELECT (SELECT count(*) FROM decisions) AS decisions,
       (SELECT count(*) FROM decisions WHERE outcome <> 'asked') AS answered,
       (SELECT count(*) FROM audit WHERE action = ANY(:actions) AND detail ->> 'outcome' = 'accepted') AS audited
"""
_ANSWERED = """
SELECT (SELECT count(*) FROM answers) AS answers, (SELECT count(*) FROM answers WHERE code IS NULL) AS taken,
       (SELECT count(*) FROM history WHERE action = ANY(:actions) AND actor <> 'platform') AS changes
"""
_OPENED = "SELECT count(*) AS number FROM audit WHERE action = 'id_number_revealed'"
_SUBMITTED = """
SELECT s.application_id, s.submitted_at, p.sex, p.birth_date
FROM submissions s JOIN applications a ON a.id = s.application_id JOIN people p ON p.id = a.person_id
"""
