"""A small year; the same again from its seed; and that what happens by time has its place in it."""

from deploy.embedded.platform import SERVICES
from shared.runtime.maintenance import keep_clean
from tests.simulation.jobs import JOBS
from tests.simulation.year import simulate
from tests.support.backing import Postgres

APPLICATIONS = 40


async def test_a_year_holds_and_its_seed_is_the_same_year_again(postgres: Postgres) -> None:
    year = await simulate(postgres, 1, APPLICATIONS)
    assert not year.violation
    for happened in (
        "certified",
        "refused a second after the last day",
        "taken on the last day",
        "logins that ended when due",
    ):
        assert (year.states | year.counts)[happened], happened
    again = await simulate(postgres, 1, APPLICATIONS)
    assert (again.digest, again.states, again.counts) == (year.digest, year.states, year.counts)


def test_every_job_of_a_service_happens_in_the_simulated_year() -> None:
    known = {loop for job in JOBS for loop in job.loops}
    assert known == {keep_clean, *(job for service, _ in SERVICES.values() for job in service.jobs)}
