"""Liftgate: next-best-offer decisions that are guarded, logged and measurable."""

__version__ = "0.1.0"
