"""A simulated year: the whole platform in one process, under one virtual clock and one seed (`make year`).

Nothing may import it. PostgreSQL is real, and told the virtual time (`database.py`); the broker is `network.py`, which
delays, doubles, reorders and loses; what happens when is the `agenda.py`'s matter, one act after the other, so that a
seed is a run. Who acts is in `enterprises.py`, `reviewers.py` and `logins.py`, what happens by time alone is the table
in `jobs.py`, what must hold is in `checks.py`. A capability that does something by time gets its row in `jobs.py`, and
its promise in `checks.py`.
"""
