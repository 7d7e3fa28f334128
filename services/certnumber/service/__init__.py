"""Use cases of the certnumber service, by concern: approvals, certificates, series, proof.

Giving numbers is a package of its own, services.certnumber.numbering, because Celery's workers are synchronous.
"""
