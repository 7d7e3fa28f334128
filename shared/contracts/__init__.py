"""The published language: one module per owner, one class per event, one golden sample each in tests/contracts.

Services and deploy import it, and of shared `runtime`, which needs the table of queues.
"""
