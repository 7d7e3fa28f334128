"""certnumber: which certificate has which number.

Owns number series, the ledger of numbers and their public verification. Hears renewal.approved and
renewal.approval_withdrawn. Says certnumber.assigned, certnumber.voided, certnumber.failed.

Imported by deploy, which runs it, and by bench and tests; never by another service.
"""
