"""Consent, eligibility, suppression and caps: pure masks with reasons."""
