"""What a seed stands for."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from tests.soak.schedule import DELETE, KINDS, draw


@given(st.integers(0))
def test_a_seed_has_the_same_faults_again(seed: int) -> None:
    first, again = list(islice(draw(seed), 50)), list(islice(draw(seed), 50))
    assert first == again
    assert all(fault.after > 0 <= fault.seconds for fault in first)


def test_every_kind_befalls_somebody_sooner_or_later() -> None:
    assert {fault.what for fault in islice(draw(1), 500)} == {kind.what for kind in KINDS}


def test_no_queue_is_deleted_where_nobody_would_heal_it() -> None:
    assert DELETE not in {fault.what for fault in islice(draw(2), 500)}
