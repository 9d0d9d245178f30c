"""A Cluster as one call of ours sees it: where a server is away, what it leaves unanswered is told apart, and the rest goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import AWAY, Calling, Command
from liftgate.adapters.redis_cluster import ClusterClient, key_of
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import PersonKey


class Parts:
    """What a fetch or a reservation calls instead of the Cluster. Servers that are away raise nothing: see `unanswered`.

    A command that nobody answered has a reply that says nothing: of GET, SET and DEL it is `AWAY`, of a script [`AWAY`].
    """

    clustered = True

    def __init__(self, cluster: ClusterClient, hurried: bool) -> None:
        """`hurried`: as for `guarded`."""
        self.budget_s = cluster.budget_s
        self.unanswered: list[Command] = []
        self._cluster = cluster
        self._hurried = hurried

    @staticmethod
    def of(client: Calling | None, hurried: bool = False) -> Parts | None:
        """Return this for a Cluster's client; None: one server answers, or does not."""
        return Parts(client, hurried) if isinstance(client, ClusterClient) else None

    async def call(self, commands: Sequence[Command], budget_s: float | None = None) -> list[Any]:
        """See `RedisClient`. Raises StoreUnavailable only where nobody says which server holds what."""
        replies, away = await self._cluster.parts(commands, budget_s, self._hurried)
        if away:
            # Of a person all or nothing: half of what was asked could be taken for the whole.
            owners = {_owner(commands[at]) for at in away}
            for at, command in enumerate(commands):
                if _owner(command) in owners:
                    self.unanswered.append(command)
                    replies[at] = _nothing(command)
        return replies

    def rows(self, people: Sequence[PersonKey], others: Mapping[bytes, Collection[int]]) -> set[int]:
        """Return whose server did not answer. `others`: rows by keys without a person's tag.

        Raises StoreUnavailable where something is unanswered that is everybody's.
        """
        found: set[int] = set()
        by_tag: dict[bytes, list[int]] = {}
        for row, person in enumerate(people):
            by_tag.setdefault(redis_keys.tag(person.person_id), []).append(row)
        for command in self.unanswered:
            key = key_of(command)
            rows = others.get(key)
            if rows is None:
                rows = by_tag.get(_owner(command))
            if rows is None:
                raise StoreUnavailable("redis: the server of what is everybody's is away")
            found.update(rows)
        return found


def by_key(commands: Sequence[Command], but: Sequence[bytes | None] = ()) -> dict[bytes, list[int]]:
    """Return rows by key, of commands that are one a row. Where `but` has something, the row is left out."""
    rows: dict[bytes, list[int]] = {}
    for row, command in enumerate(commands):
        mine = rows.setdefault(key_of(command), [])
        if not but or but[row] is None:
            mine.append(row)
    return rows


def _owner(command: Command) -> bytes:
    """Return a key's beginning that all keys of one person share; of other keys the whole."""
    key = key_of(command)
    end = key.find(b"}:")
    return key if end < 0 or not key.startswith(b"lg:{") else key[: end + 2]


def _nothing(command: Command) -> Any:
    name = command[0]
    if name == "MGET":
        return [None] * (len(command) - 1)
    if name in ("EVALSHA", "EVAL"):
        return [AWAY]
    return 0 if name == "EXISTS" else AWAY if name in ("GET", "SET", "DEL") else None
