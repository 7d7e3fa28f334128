"""A running platform put under load, and held to what it acknowledged.

`people.py` are its users, who keep a `history.py` of all that they did and were told; `checker.py` compares it with
what a client, an auditor and an operator can see in the end. Used by `make soak` and `make compose-test`; no service
imports it.
"""
