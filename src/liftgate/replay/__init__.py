"""The one bridge between bundles and the log: what was decided is decided again, from what the record holds and nothing else."""
