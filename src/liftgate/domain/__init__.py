"""Nouns of a decision: pure values and codecs, no I/O, clock or dice."""
