"""Measures what a decision costs: `python -m tests.bench`."""
