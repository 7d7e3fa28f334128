"""Measurements: ratios against the raw limit and against other shapes, taken in one interleaved run."""
