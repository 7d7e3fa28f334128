"""The audit trail a service keeps: who did what when.

Services import it, and of shared only `runtime` may.
"""
