"""Registers the fixtures; helpers are imported from tests.fixtures, never from here."""

import hypothesis

pytest_plugins = ["tests.fixtures.backing", "tests.fixtures.platform", "tests.fixtures.stack"]

# Machines are shared: how long an example takes says nothing.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
