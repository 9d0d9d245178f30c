"""A folder of YAML becomes one immutable, digested Bundle."""
