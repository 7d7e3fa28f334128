"""Giving numbers: allocation, the wake-up, and the worker's health."""
