"""A simulated shop with a known truth."""
