"""Chance by a seed: that of the simulation, and all of the platform's own."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from unittest.mock import patch


class Chance:
    """A seed, and a source of its own for each who draws: one more of them leaves the others' draws as they are."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, name: str) -> Random:
        return Random(f"{self.seed} {name}")


def seconds(source: Random, low: float, high: float) -> timedelta:
    """Draw a time between two numbers of seconds."""
    return timedelta(seconds=source.uniform(low, high))


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Let all in this process that asks the system for chance (ids, nonces, salts, tokens) have it from the seed, as
    long as the block lasts."""
    source = Random(f"{seed} system")
    state = random.getstate()
    random.seed(seed)
    # `random` keeps a name of its own for it, by which `secrets` goes.
    with patch.object(os, "urandom", source.randbytes), patch.object(random, "_urandom", source.randbytes):
        yield
    random.setstate(state)
