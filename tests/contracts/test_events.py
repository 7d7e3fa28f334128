"""The published language: one golden sample per event, and a topology in which nobody speaks to the wall."""

import base64
import importlib
import json
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from shared.contracts.renewal import PERSON_BLOCK, ApplicationState, PersonBlock
from shared.contracts.topology import PRODUCERS, QUEUES
from shared.messaging import Envelope, Event, Queue, Subscription
from shared.messaging.events import MAX_ENVELOPE_BYTES
from shared.observability.telemetry import TRACEPARENT
from shared.persistence.cipher import FieldCipher
from shared.values.idnumber import parse

SAMPLES = Path(__file__).parent / "samples"
CONTRACTS = [contract for contracts in PRODUCERS.values() for contract in contracts]
# The keys the samples were sealed with: a change of format that old messages do not survive fails here.
CIPHER = FieldCipher({"golden": bytes(range(32))}, bytes(range(32, 64)))

each_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.routing_key())
each_queue = pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)


def sample(contract: type[Event]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((SAMPLES / f"{contract.routing_key()}.json").read_text())
    return read


class TestSamples:
    def test_there_is_one_for_every_contract_and_no_other(self) -> None:
        assert sorted(path.stem for path in SAMPLES.iterdir()) == sorted(c.routing_key() for c in CONTRACTS)

    @each_contract
    def test_reads_and_writes_the_same(self, contract: type[Event]) -> None:
        golden = sample(contract)
        envelope = Envelope.model_validate_json(json.dumps(golden))
        event = contract.model_validate(envelope.data)
        assert event.model_dump(mode="json") == golden["data"]
        assert envelope.model_dump(mode="json") == golden

    @each_contract
    def test_envelope_is_a_cloud_event_that_names_its_contract(self, contract: type[Event]) -> None:
        golden = sample(contract)
        assert (golden["specversion"], golden["datacontenttype"]) == ("1.0", "application/json")
        assert (golden["type"], contract.version) == (contract.type, 1)
        assert Envelope.model_validate(golden).routing_key == contract.routing_key() == f"{golden['type']}.v1"
        assert golden["source"] in {f"/{service}" for service, told in PRODUCERS.items() if contract in told}
        assert golden["subject"] == contract.model_validate(golden["data"]).subject
        assert TRACEPARENT.match(golden["traceparent"])

    @each_contract
    def test_a_reader_ignores_what_it_does_not_know(self, contract: type[Event]) -> None:
        golden = sample(contract)
        golden["later"] = golden["data"]["later"] = {"added": ["by a newer writer"]}
        event = contract.model_validate(Envelope.model_validate(golden).data)
        assert event == contract.model_validate(sample(contract)["data"])

    @each_contract
    def test_a_reader_insists_on_every_required_field(self, contract: type[Event]) -> None:
        required = {name for name, field in contract.model_fields.items() if field.is_required()}
        assert contract.subject_field in required
        for name in required:
            data = sample(contract)["data"]
            del data[name]
            with pytest.raises(ValidationError, match=name):
                contract.model_validate(data)

    @each_contract
    def test_a_reader_does_without_what_older_writers_did_not_say(self, contract: type[Event]) -> None:
        data = sample(contract)["data"]
        told = {name: data[name] for name, field in contract.model_fields.items() if field.is_required()}
        assert contract.model_validate(told).model_dump(mode="json", exclude_unset=True) == told

    @pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "dataschema", "data"])
    def test_a_reader_insists_on_the_envelope(self, name: str) -> None:
        golden = sample(CONTRACTS[0])
        del golden[name]
        with pytest.raises(ValidationError, match=name):
            Envelope.model_validate(golden)

    def test_the_envelope_fits_many_times_into_the_limit(self) -> None:
        assert all(len((SAMPLES / f"{c.routing_key()}.json").read_bytes()) < MAX_ENVELOPE_BYTES / 50 for c in CONTRACTS)


class TestPersonalData:
    @pytest.mark.parametrize("contract", [c for c in CONTRACTS if issubclass(c, ApplicationState)])
    def test_travels_only_as_a_sealed_block_beside_its_index(self, contract: type[Event]) -> None:
        data = sample(contract)["data"]
        person = json.loads(CIPHER.decrypt(data["person"], PERSON_BLOCK))
        assert CIPHER.open(data["person"], PERSON_BLOCK, PersonBlock).model_dump(mode="json") == person
        assert parse(person["id_number"], date(2026, 3, 2)).value == person["id_number"]
        assert data["person_index"] == CIPHER.blind_index(person["id_number"])
        plain = (SAMPLES / f"{contract.routing_key()}.json").read_text()
        for secret in (person["name"], person["id_number"], person["birth_date"]):
            assert secret not in plain
            assert base64.b64encode(secret.encode()).decode().rstrip("=") not in plain

    def test_what_is_wrong_with_a_block_is_said_without_its_values(self) -> None:
        with pytest.raises(ValidationError, match="birth_date") as error:
            PersonBlock.model_validate({"name": "周清远", "id_number": "360199198503140036", "birth_date": "1985-03"})
        assert not any(value in str(error.value) for value in ("周清远", "360199198503140036", "1985-03"))

    @each_contract
    def test_no_contract_has_a_field_for_it(self, contract: type[Event]) -> None:
        assert not {"id_number", "person_name", "phone", "birth_date", "taxpayer_id"} & set(contract.model_fields)


def subscriptions() -> list[Subscription]:
    return [
        subscription
        for service in PRODUCERS
        for subscription in importlib.import_module(f"services.{service}.consumers").SUBSCRIPTIONS
    ]


class TestTopology:
    def test_every_event_is_told_by_one_service_and_heard(self) -> None:
        heard = {event for queue in QUEUES for event in queue.events}
        assert set(CONTRACTS) == heard
        assert len(CONTRACTS) == len(set(CONTRACTS)) == len({contract.routing_key() for contract in CONTRACTS})

    @pytest.mark.parametrize("service", PRODUCERS)
    def test_a_service_tells_what_its_contract_module_defines(self, service: str) -> None:
        module = importlib.import_module(f"shared.contracts.{service}")
        defined = {
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Event) and "type" in vars(value)
        }
        assert defined - {Event} == set(PRODUCERS[service])
        assert all(contract.type.startswith(f"{service}.") for contract in PRODUCERS[service])

    def test_every_queue_has_the_handlers_of_its_events_and_no_others(self) -> None:
        handled = {subscription.queue: set(subscription.handlers) for subscription in subscriptions()}
        assert handled == {queue: set(queue.events) for queue in QUEUES}

    @pytest.mark.parametrize("service", PRODUCERS)
    def test_a_service_hears_its_own_queues(self, service: str) -> None:
        module = importlib.import_module(f"services.{service}.consumers")
        assert {subscription.queue for subscription in module.SUBSCRIPTIONS} == {
            queue for queue in QUEUES if queue.service == service
        }

    def test_names_are_unique(self) -> None:
        names = [name for queue in QUEUES for name in (queue.name, queue.retry, queue.dead)]
        assert len(names) == len(set(names))

    @each_queue
    def test_nothing_that_fails_is_dropped(self, queue: Queue) -> None:
        work, retry, dead = queue.arguments(), queue.retry_arguments(), queue.dead_arguments()
        assert {arguments["x-queue-type"] for arguments in (work, retry, dead)} == {"quorum"}
        assert (work["x-dead-letter-routing-key"], retry["x-dead-letter-routing-key"]) == (queue.dead, queue.name)
        for arguments in (work, retry):
            # Only both together make dead-lettering wait for a confirm; otherwise it may lose what it moves.
            assert (arguments["x-dead-letter-strategy"], arguments["x-overflow"]) == ("at-least-once", "reject-publish")
        assert 0 < work["x-delivery-limit"] <= 20
        assert retry["x-message-ttl"] > 0
        assert dead["x-delivery-limit"] > 1_000_000, "a dead letter survives being looked at"
        assert "x-message-ttl" not in dead


def test_statuses_are_those_of_the_state_machine() -> None:
    from services.renewal.domain import Status

    declared = ApplicationState.model_fields["status"].annotation
    assert {status.value for status in Status} == set(get_args(declared))
