"""What is read beside people's own keys: contact histories of accounts and total counters. One server only: other slots are theirs."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command
from liftgate.pipeline.ports import Fetched, PersonKey


class Shared:
    """The keys of one fetch, as the command that reads them, and where their values belong."""

    __slots__ = ("_rows", "_totals", "commands")

    def __init__(self, people: Sequence[PersonKey], totals: Sequence[bytes]) -> None:
        self._totals = len(totals)
        self._rows: list[tuple[int, int, bool]] = []
        """(row, histories read for it, the real one is asked for alone too)"""
        self.commands: list[Command] = []
        """Nothing to read: none."""
        keys: list[bytes] = []
        for row, person in enumerate(people):
            if person.account_id:
                own = [False, True] if person.ghost else [False]
                keys += [redis_keys.account(person.account_id, ghost) for ghost in own]
                self._rows.append((row, len(own), person.both))
        keys += [redis_keys.total(cap_id, False) for cap_id in totals]
        if keys:
            self.commands.append(("MGET", *keys))

    def put(self, fetched: Fetched, values: Sequence[bytes | None]) -> Fetched:
        """Return what was fetched with the values of `commands`."""
        if values:
            at, histories, real = 0, {}, {}
            for row, count, both in self._rows:
                found = [value for value in values[at : at + count] if value]
                histories[row] = joined(found)
                if both:
                    real[row] = values[at]
                at += count
            fetched.account_history, fetched.real_account_history = histories, real
            fetched.totals = values[len(values) - self._totals :]
        return fetched


def joined(histories: Sequence[bytes]) -> bytes | None:
    """Return contact histories as one; where one of them is damaged, so is the whole."""
    if any(len(history) % 32 for history in histories):
        return b"?"
    return b"".join(histories) or None
