"""Which pseudonyms of the log are whose: for people whose ids are known, from the log's key and their own keys in the store."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.adapters import redis_keys
from liftgate.adapters.person_keys import valid
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import Command, RedisClient, check

_CHUNK = 1_000


async def names_of(client: RedisClient, key: bytes, people: Sequence[str]) -> dict[bytes, str]:
    """Return the people by pseudonym: the one with their own key, where they have one, and the one by the log's key alone.

    Raises StoreUnavailable, and ValueError on a key that is too short.
    """
    keyed, personal = Pseudonyms("", key), Pseudonyms.of_people(key)
    names = {keyed(person): person for person in people}
    for i in range(0, len(people), _CHUNK):
        some = people[i : i + _CHUNK]
        commands: list[Command] = [("GET", redis_keys.person_key(person)) for person in some]
        replies = await client.call(commands, 30.0)
        check(replies)
        for person, own in zip(some, map(valid, replies), strict=True):
            if own is not None:
                names[personal.under(own, person)] = person
    return names
