"""What a worker says of itself, to its fleet and to whoever asks: which bundle it runs, since when, and how the last reload went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from liftgate.bundle.mistake import Mistake

Result = Literal["swapped", "unchanged", "refused", "unknown"]
_RESULTS: tuple[Result, ...] = ("swapped", "unchanged", "refused", "unknown")
MOST_MISTAKES = 500
"""Of one outcome; a last one says how many more there are."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one worker's reload ended."""

    worker_id: str
    result: Result
    at_ms: int
    digest_before: str
    digest: str
    """In force now."""
    actor: str
    mistakes: tuple[Mistake, ...] = ()
    """Sorted by file and line, at most MOST_MISTAKES."""
    cause: str = ""
    """Why it was refused where no file is wrong."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Outcome:
        """Read what `plain` gave. Raises KeyError, TypeError or ValueError."""
        mistakes = tuple(Mistake(**one) for one in said["mistakes"])
        if said["result"] not in _RESULTS:
            raise ValueError("no result of a reload")
        return cls(**{**said, "mistakes": mistakes})


def most(mistakes: Sequence[Mistake]) -> tuple[Mistake, ...]:
    """Return the mistakes that an outcome carries."""
    if len(mistakes) <= MOST_MISTAKES:
        return tuple(mistakes)
    last = mistakes[MOST_MISTAKES - 1]
    left = len(mistakes) - MOST_MISTAKES + 1
    return (
        *mistakes[: MOST_MISTAKES - 1],
        Mistake(last.file, last.line, "", f"and {left} more mistakes", "`liftgate bundle check` has all"),
    )


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What one worker runs."""

    worker_id: str
    """16 hexadecimal digits, new with every start."""
    host: str
    pid: int
    port: int
    transport: str
    version: str
    bundle: str
    digest: str
    since_ms: int
    """Since when the bundle is in force, milliseconds since the Unix epoch."""
    last_reload: Outcome | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> WorkerState:
        """Read what `plain` gave. Raises KeyError, TypeError or ValueError."""
        last = said["last_reload"]
        return cls(**{**said, "last_reload": None if last is None else Outcome.read(last)})


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker's last report."""

    state: WorkerState
    silent_ms: int
    """How long ago it was, by the clock of Redis."""


def agree(fleet: Sequence[Reported]) -> bool:
    """Say whether all workers run one digest and one version; an empty fleet does not."""
    return len({(one.state.digest, one.state.version) for one in fleet}) == 1
