"""Developers' helpers called by the Makefile."""
