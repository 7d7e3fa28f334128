"""renewal: who may renew what, and how far each application is.

Owns the platform data (people and the certificates they hold), the eligibility rules, applications and their state,
and the pictures. Hears enterprise.*, review.*, certnumber.*. Says renewal.*: the one authority for an application.

Imported by deploy, which runs it, and by tests; never by another service.
"""
