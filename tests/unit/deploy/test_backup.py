"""When a backup may be made and in which order, and what a restore and a rotation refuse."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.compose.backup import dump, settle
from deploy.compose.installation import APIS, SERVICES, WORKERS, Installation, OperationFailed, digest
from deploy.compose.make_secrets import ISSUERS
from deploy.compose.restore import check
from deploy.compose.rotate import STEPS
from shared.runtime.settings import new_key, parse_keys

QUIET = {"renewal.decisions": {"ready": 0, "retry": 0, "dead": 0}}
READY = {"renewal.decisions": {"ready": 2, "retry": 0, "dead": 0}}
RETRY = {"renewal.decisions": {"ready": 0, "retry": 1, "dead": 0}}
DEAD = {"renewal.decisions": {"ready": 0, "retry": 0, "dead": 3}}


class Scripted:
    """An installation whose broker says what the test wants; `done` are the commands and looks."""

    def __init__(self, *looks: dict[str, dict[str, int]], fails_at: str = "") -> None:
        self.done: list[str] = []
        self._looks: Iterator[dict[str, dict[str, int]]] = iter(looks)
        self._fails_at = fails_at

    def run(self, *arguments: str, **_: Any) -> None:
        action = arguments[-1] if arguments[0] == "exec" else f"{arguments[0]} {_group(arguments[1:])}"
        self.done.append(action)
        if action == self._fails_at:
            raise OperationFailed(action)

    def depths(self) -> dict[str, dict[str, int]]:
        self.done.append("look")
        return next(self._looks)

    def installation(self) -> Installation:
        return cast(Installation, self)


def _group(services: tuple[str, ...]) -> str:
    return {APIS: "apis", WORKERS: "workers", WORKERS + APIS: "all"}[services]


def test_dumps_are_made_while_no_event_travels_and_of_issuers_last(tmp_path: Path) -> None:
    scripted = Scripted(QUIET, QUIET)
    assert dump(scripted.installation(), tmp_path) == {}
    order = ["stop apis", "stop workers", "look", "look", "start apis", *SERVICES, "start all"]
    assert scripted.done == order
    assert SERVICES[-2:] == ISSUERS
    assert {file.name for file in tmp_path.iterdir()} == {f"{service}.dump" for service in SERVICES}


@pytest.mark.parametrize("looks", [(READY,), (RETRY,), (QUIET, READY)])
def test_workers_go_on_until_nothing_travels(looks: tuple[dict[str, dict[str, int]], ...]) -> None:
    scripted = Scripted(*looks, DEAD, DEAD)
    assert settle(scripted.installation()) == {"renewal.decisions": 3}
    once = ["stop workers", *["look"] * len(looks), "start workers"]
    assert scripted.done == [*once, "stop workers", "look", "look"]


def test_what_was_stopped_runs_again_whatever_happens(tmp_path: Path) -> None:
    failing = Scripted(QUIET, QUIET, fails_at="certnumber")
    with pytest.raises(OperationFailed, match="certnumber"):
        dump(failing.installation(), tmp_path)
    assert failing.done[-1] == "start all"
    busy = Scripted(READY)
    with pytest.raises(OperationFailed, match=r"keep travelling: \{'renewal.decisions': 2\}"):
        dump(busy.installation(), tmp_path, patience=0)
    assert busy.done[-1] == "start all"


def test_a_restore_refuses_what_is_damaged_and_keys_that_do_not_open_it(tmp_path: Path) -> None:
    file = tmp_path / "renewal.dump"
    file.write_bytes(b"rows")
    manifest = {"keys": {"k1": "a", "index": "b"}, "sha256": {file.name: digest(file)}}
    manifest = json.loads(json.dumps(manifest))
    # A key made since does no harm.
    check(manifest, tmp_path, {"k2": "c", "k1": "a", "index": "b"})
    for keys in ({"k1": "a"}, {"k1": "z", "index": "b"}, {"k2": "a", "index": "b"}):
        with pytest.raises(OperationFailed, match="lack"):
            check(manifest, tmp_path, keys)
    file.write_bytes(b"row")
    with pytest.raises(OperationFailed, match=r"damaged: renewal\.dump"):
        check(manifest, tmp_path, {"k1": "a", "index": "b"})


def test_a_rotation_goes_step_by_step() -> None:
    old = f"k9:{new_key()}"
    added = STEPS["add"]([old])
    assert (len(parse_keys(",".join(added))), added[0], added[1][:4]) == (2, old, "k10:")
    promoted = STEPS["promote"](added)
    assert promoted == added[::-1]
    assert STEPS["drop"](promoted) == [added[1]]


@pytest.mark.parametrize(
    ("step", "names"),
    [("add", "k1 k2"), ("add", "k2 k1"), ("promote", "k1"), ("promote", "k2 k1"), ("drop", "k1"), ("drop", "k1 k2")],
)
def test_a_step_is_refused_out_of_turn(step: str, names: str) -> None:
    with pytest.raises(ValueError, match="first"):
        STEPS[step]([f"{name}:{new_key()}" for name in names.split()])
