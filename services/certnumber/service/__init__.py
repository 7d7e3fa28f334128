"""Use cases of the certnumber service, by concern: approvals, certificates, series, proof.

Called by endpoints, consumers, metrics and commands; views imports the results. Giving numbers is a package of its own,
services.certnumber.numbering, because Celery's workers are synchronous.
"""
