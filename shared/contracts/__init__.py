"""The published language: one module per owner, one class per event, one golden sample each in tests/contracts."""
