"""Tests of the kill switch and of review."""
