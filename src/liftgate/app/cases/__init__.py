"""Test tables of a bundle: people in situations, and what must come of it. Run through the walk of the server, in memory."""
