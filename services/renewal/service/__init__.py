"""Use cases of renewal, by concern: applications, eligibility, decisions, numbers, enterprises.

Called by endpoints and consumers, and by the registry and the pictures for what they share; views import the results.
"""
