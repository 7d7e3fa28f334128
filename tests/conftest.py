"""Registers the fixtures; helpers are imported from tests.support, never from here."""

import hypothesis

pytest_plugins = ["tests.support.backing", "tests.support.platform", "tests.support.stack"]

# Machines are shared: how long an example takes says nothing.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
