"""review: the authority's desk, where reviewers decide on applications.

Owns reviewers with their captcha login, the searchable projection of applications, decisions and the audit trail.
Hears renewal.*. Says review.approved, review.rejected, review.approval_withdrawn: what it asks `renewal` to do.

Imported by deploy, which runs it, and by bench and tests; never by another service.
"""
