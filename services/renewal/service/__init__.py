"""Use cases of renewal, one module per concern."""
