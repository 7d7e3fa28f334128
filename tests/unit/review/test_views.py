"""The list is written without models; what it says is what they say."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.review import views
from services.review.domain import REASONS, STATUS_LABELS
from services.review.models import PERSON_AT_REST, ListedItem
from services.review.schemas import ItemRead
from shared.persistence.cipher import FieldCipher
from shared.web.pagination import Page

CIPHER = FieldCipher({"k1": bytes(32)}, bytes(32))
PERSON = CIPHER.encrypt(
    '{"id_number":"360199199001010009","sex":"female","birth_date":"1990-01-01","held":[]}', PERSON_AT_REST
)
TEXT = st.text(max_size=8)
NUMBER = st.integers(0, 3)
MOMENT = st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
OF_KIND: dict[Any, st.SearchStrategy[Any]] = {
    "person": st.just(PERSON),
    "status": st.sampled_from(list(STATUS_LABELS)),
    "reason_code": st.none() | st.sampled_from([*REASONS, "unheard_of"]),
    "application_id": st.uuids(),
    "added_at": MOMENT,
    "submitted_at": st.none() | MOMENT,
    "decision_pending": st.booleans(),
    **dict.fromkeys(("change_no", "revision", "decision_no"), NUMBER),
    **dict.fromkeys(("refusal_change_no", "numbering_decision_no"), st.none() | NUMBER),
    **dict.fromkeys(("application_number", "name", "enterprise_name", "post", "post_name"), TEXT),
}
ROW = st.tuples(*(OF_KIND.get(name, st.none() | TEXT) for name in ListedItem._fields)).map(ListedItem._make)


@given(st.lists(ROW, max_size=3), st.none() | TEXT)
def test_the_list_is_what_its_model_writes(rows: list[ListedItem], cursor: str | None) -> None:
    written = views.page_of_items(CIPHER, rows, cursor)
    page = Page[ItemRead].model_validate_json(written, strict=True, extra="forbid")
    assert page.model_dump_json().encode() == written
    assert [(item.application_id, item.added_at) for item in page.items] == [
        (row.application_id, row.added_at) for row in rows
    ]
    assert {item.id_number_masked for item in page.items} <= {"3601**********0009"}
