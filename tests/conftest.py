"""Registers the fixtures; helpers are imported from tests.fixtures, never from here."""

pytest_plugins = ["tests.fixtures.backing", "tests.fixtures.platform", "tests.fixtures.stack"]
