"""What the portal reads of the services' answers is what the services describe."""

from typing import Any

from tools.portal_models import MODELS, answers, documents, render


def test_the_models_are_those_of_the_documents() -> None:
    for service, document in documents().items():
        assert (MODELS / f"{service}.py").read_text() == render(service, document), "run `make models`"


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def document(**schemas: Any) -> dict[str, Any]:
    statuses = {"200": "Answer", "409": "Refusal"}
    responses = {
        status: {"content": {"application/json": {"schema": reference(name)}}} for status, name in statuses.items()
    }
    return {"paths": {"/x": {"get": {"responses": responses}}}, "components": {"schemas": schemas}}


def test_only_what_answers_of_success_are_made_of_is_read() -> None:
    part = {"type": "object", "properties": {"state": reference("State")}, "required": ["state"]}
    whole = {
        "type": "object",
        "properties": {"parts": {"type": "array", "items": reference("Part")}},
    }
    state = {"type": "string", "enum": ["open", "closed"]}
    nothing = {"type": "object"}
    found = answers(document(Answer=whole, Part=part, State=state, Refusal=nothing, Request=nothing))
    assert sorted(found) == ["Answer", "Part"]
    assert found["Part"]["properties"] == {"state": {"type": "string", "enum": ["open", "closed"]}}


def test_limits_are_the_services_and_null_may_be_missing() -> None:
    text = {"type": "string", "maxLength": 3, "title": "Text", "description": "short"}
    properties = {"text": text, "note": {"anyOf": [text, {"type": "null"}]}}
    found = answers(document(Answer={"type": "object", "properties": properties, "required": ["text", "note"]}))
    assert found["Answer"] == {
        "type": "object",
        "properties": {"text": {"type": "string"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "required": ["text"],
    }
