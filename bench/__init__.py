"""Measurements: ratios against the raw limit and against other shapes, taken in one interleaved run.

Uses the tests' backing services; nothing imports it.
"""
