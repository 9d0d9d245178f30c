"""Schema and codec of the log. Imports nothing of ours but generated code."""
