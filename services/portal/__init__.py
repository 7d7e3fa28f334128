"""The web pages for enterprises, reviewers and everybody else: a client of the API gateway like any other.

Owns nothing, hears nothing, says nothing: no database, no business rule. Sessions live with the service that issued
them (browser sessions), so any copy of the portal can answer any request. Only deploy and the tests import it.
"""
