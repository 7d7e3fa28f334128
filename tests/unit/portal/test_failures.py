"""What of an interrupted form can be sent again."""

from io import BytesIO

import pytest
from starlette.datastructures import FormData, UploadFile

from services.portal.failures import resubmittable_fields

TEXTS = [("_key", "1"), ("post", "30")]


def form(*more: tuple[str, str | UploadFile]) -> FormData:
    return FormData([("_token", "t"), *TEXTS, *more])


def test_a_file_that_was_not_chosen_stands_in_nothings_way() -> None:
    assert resubmittable_fields(form(("id-front", UploadFile(BytesIO(), filename="")))) == TEXTS


@pytest.mark.parametrize(
    "hindrance", [("id-front", UploadFile(BytesIO(b"x"), filename="a.jpg")), ("new_password", "secret")]
)
def test_not_all_of_it_is_nothing(hindrance: tuple[str, str | UploadFile]) -> None:
    assert resubmittable_fields(form(hindrance)) == []
