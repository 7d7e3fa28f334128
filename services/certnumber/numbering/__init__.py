"""Giving numbers: allocation, its SQL, the wake-up, and the worker's health.

Imported by tasks.py, which Celery runs, by container.py, app.py and bench; imports no use case of the service.
"""
