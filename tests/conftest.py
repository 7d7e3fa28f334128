"""Registers the fixtures; helpers are imported from tests.support, never from here."""

import gc
from pathlib import Path
from typing import Any

import hypothesis
import pytest

HERE = Path(__file__).parent

# Conftests below import some of it before it is registered.
pytest.register_assert_rewrite("tests.support")

# Machines are shared: how long an example takes says nothing.
hypothesis.settings.register_profile("shared machine", deadline=None)
# `make unit` asks for it; `make test` tries more.
hypothesis.settings.register_profile("quick", parent=hypothesis.settings.get_profile("shared machine"), max_examples=5)
hypothesis.settings.load_profile("shared machine")


def pytest_configure(config: pytest.Config) -> None:
    """Registers what needs servers, unless only unit tests are asked for: it imports every service."""
    gc.disable()
    if not all(argument.startswith("tests/unit") for argument in config.args):
        for name in ("backing", "platform", "stack", "toy"):
            config.pluginmanager.import_plugin(f"tests.support.{name}")
    config.pluginmanager.import_plugin("tests.support.spans")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs `soak` first, then the directories in their order, `browser` with the longest files first: what is left for
    the end is short, and no worker waits for another. What needs the full stack is one group, because starting it takes
    long.
    """
    items.sort(key=lambda item: (item.path.parent.name != "soak", item.path.relative_to(HERE).parts[0]))
    for item in items:
        if isinstance(item, pytest.Function) and "stack" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives a worker a whole file, or a group of several files' tests."""
    from xdist.scheduler import LoadGroupScheduling

    class FilesAndGroups(LoadGroupScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return str(super()._split_scope(nodeid)).partition("::")[0]

    return FilesAndGroups(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_finish() -> None:
    """What has been imported stays; looking through it for garbage again and again would take seconds."""
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says how to have this order of the tests again, also where the header with the seed is not shown."""
    seed = config.getoption("randomly_seed", None)
    if isinstance(seed, int):
        terminalreporter.write_line(f"the tests ran in the order of SEED={seed}")
