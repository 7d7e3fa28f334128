"""Kubernetes: manifests for kustomize, and what makes the Secrets they name."""
