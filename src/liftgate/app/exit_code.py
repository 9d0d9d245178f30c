"""What `liftgate serve` ends with; docs/operations.md explains each."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the serving processes."""

    DRAINED = 0
    """Told to stop; every call in flight was answered and the log is sealed."""
    FAILED = 1
    """An unexpected fault of ours."""
    CANNOT_START = 2
    """A setting, the bundle, a model, the log directory or the port is wrong; the message says which."""
    LOG_FAILED = 3
    """The disk refused to keep what was written: nothing more is acknowledged, and a person has to look."""


class CannotStart(Exception):
    """The message says in plain words what is wrong and how to mend it."""
