"""Kubernetes: manifests for kustomize, and what makes the Secrets they name.

Nothing but tests imports it; its modules are commands.
"""
