"""What renewal keeps of enterprises: the name of each, as `enterprise` last said it."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from shared.contracts.enterprise import EnterpriseState
from shared.values.idnumber import masked


async def keep_newest(session: AsyncSession, states: Iterable[EnterpriseState]) -> None:
    """Keep the state of the highest revision of each enterprise; what is older than the one known is no news."""
    newest = {state.enterprise_id: state for state in sorted(states, key=lambda state: state.revision)}
    rows = [
        {"id": key, "name": masked(state.name), "revision": state.revision} for key, state in sorted(newest.items())
    ]
    await queries.upsert_enterprises(session, rows)
