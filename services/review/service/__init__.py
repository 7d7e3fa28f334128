"""Use cases of the review service, by concern: login, reviewers, desk, decisions, projection.

Called by endpoints, consumers and commands; nothing else of the service imports it but views, for the results.
"""
