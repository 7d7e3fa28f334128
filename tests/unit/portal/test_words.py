"""The portal calls things what the API calls them."""

from typing import get_args

from services.portal import words
from services.portal.endpoints.registry import ImportLine
from services.renewal import domain as renewal
from services.renewal.registry.schemas import ImportDone, ImportProgress
from services.review import domain as review


def test_of_statuses() -> None:
    assert {status.value: label for status, label in renewal.LABELS.items()} == words.STATUSES
    assert {status: words.STATUSES[status] for status in get_args(review.ItemStatus)} == review.STATUS_LABELS


def test_of_pictures() -> None:
    assert tuple(words.KINDS) == tuple(words.PICTURES) == get_args(words.Kind) == renewal.IMAGE_KINDS
    assert {kind: words.PARTS[kind] for kind in words.KINDS} == renewal.IMAGE_LABELS


def test_of_parts_that_reasons_are_about() -> None:
    assert {reason.field for reason in review.REASONS.values() if reason.field} == set(words.PARTS)


def test_of_an_imports_lines_which_openapi_does_not_describe() -> None:
    lines = {*ImportProgress.model_fields, *ImportDone.model_fields}
    assert lines | {"problem"} == set(ImportLine.model_fields)
