"""Giving numbers: allocation, its SQL, the wake-up, and the worker's health.

Imported by tasks.py, which Celery runs, by container.py and by app.py; imports no use case of the service.
"""
