"""Use cases of the review service, by concern: login, reviewers, desk, decisions, audit."""
