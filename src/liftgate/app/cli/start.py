"""`liftgate start`, which lives beside `liftgate stop`."""

from __future__ import annotations

from liftgate.app.cli.stop import register_start as register

__all__ = ["register"]
