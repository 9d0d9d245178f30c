"""The erasure journal: `erasures` in the log directory, a line for each erased person: a keyed hash of the id, and the day.

To whoever has the key a line says of a known id that it was erased; it leads to no row of a log, and says nothing else of anybody.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from liftgate.domain.errors import LogUnavailable
from liftgate.record.units import TABLE

NAME = "erasures"
KEPT_DAYS = 400
"""How long a tombstone stands and a line matters: keep no backup of the store longer."""


class ErasureJournal:
    """One file that is only added to, by any number of processes."""

    def __init__(self, log: Path, hashed: Callable[[str], bytes]) -> None:
        """`log` is the log directory; `hashed` gives 16 bytes for an id, under a key of their own."""
        self._path = log / NAME
        self._hashed = hashed

    async def add(self, person_id: str, at_ms: int) -> None:
        """See `pipeline.erasure.Journal`."""
        day = datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
        try:
            await asyncio.to_thread(self._write, f"{self._hashed(person_id).hex()} {day}\n".encode())
        except OSError as err:
            raise LogUnavailable(f"erasure journal: {type(err).__name__}") from None

    def _write(self, line: bytes) -> None:
        # It may tie the person's rows to those of others: whoever needs it makes it anew, without them.
        (self._path.parent / TABLE).unlink(missing_ok=True)
        new = not self._path.exists()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # One write: lines of several processes never mix.
            if os.write(descriptor, line) != len(line):
                raise OSError("short write")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def read(self, today: date) -> dict[bytes, int]:
        """Return the hashes that matter still, oldest first, each with its day's end in milliseconds since the epoch. Raises OSError.

        Lines that cannot be read are passed over: a cut one was never acknowledged.
        """
        try:
            lines = self._path.read_text("ascii", "replace").splitlines()
        except FileNotFoundError:
            return {}
        found: dict[bytes, int] = {}
        for line in lines:
            words = line.split()
            try:
                hashed, day = bytes.fromhex(words[0]), date.fromisoformat(words[1])
            except (ValueError, IndexError):
                continue
            if len(hashed) == 16 and (today - day).days <= KEPT_DAYS:
                found.pop(hashed, None)
                found[hashed] = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) + 86_399_999
        return found
