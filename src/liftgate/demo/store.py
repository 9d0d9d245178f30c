"""What the shop has stored about its people, and the loading of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_keys import profile
from liftgate.adapters.redis_profile_writer import RedisProfileWriter, StoredPerson
from liftgate.demo.people import CONSENTS, FRESH_AGE_S, STALE_AGE_S, TEXTS, People, person_id
from liftgate.domain import consent
from liftgate.domain.input import Floats, InputSchema, InputType

_CHUNK = 500
_YEAR_MS = 365 * 86_400_000
_DAY_MS = 86_400_000


def stored(people: People, schema: InputSchema, now_ms: int) -> Sequence[StoredPerson]:
    """Return what is stored of everyone of whom anything is. `now_ms` dates consent and features."""
    values, at_s = _values(people, schema), _times(people, schema, now_ms)
    return [
        StoredPerson(person_id(i), values[i], at_s[i].tolist(), _consent(CONSENTS[people.consent[i]], bool(people.mail_consent[i]), now_ms))
        for i in np.flatnonzero(people.known).tolist()
    ]


async def load(url: str, people: People, schema: InputSchema, now_ms: int, advance: Callable[[int], None] = lambda count: None) -> int:
    """Store everyone; return how many people are in the store. `advance` is told how many more are done."""
    client = connect(url)
    try:
        writer = RedisProfileWriter(client, schema)
        everyone = stored(people, schema, now_ms)
        for start in range(0, len(everyone), _CHUNK):
            chunk = everyone[start : start + _CHUNK]
            await writer.store(chunk)
            advance(len(chunk))
        # Profiles as an older version of the shop packed them: they cannot be read, and the service must live with it.
        outdated = np.flatnonzero(people.known & people.outdated).tolist()
        await client.call([("SET", profile(person_id(i)), b"LG\x01\x00 from an older schema") for i in outdated], 5.0)
        return len(everyone)
    finally:
        await client.close()


def _values(people: People, schema: InputSchema) -> Floats:
    """Return [N, F] column numbers in packed order, NaN where a feature is not stored."""
    columns = []
    for column in schema.profile:
        name = column.name.removeprefix("profile.")
        trait = people.traits[name]
        if column.type is InputType.STRING:
            trait = np.array([column.encode(text) for text in TEXTS[name]])[trait.astype(np.intp)]
        columns.append(np.where(people.hole[name], np.nan, trait) if name in people.hole else trait)
    return np.stack(columns, axis=1)


def _times(people: People, schema: InputSchema, now_ms: int) -> np.ndarray:
    """Return [N, F] when each feature was true, seconds since the epoch."""
    at_s = np.full((len(people), schema.profile_count), now_ms // 1000 - FRESH_AGE_S, dtype=np.int64)
    for f, column in enumerate(schema.profile):
        old = people.stale.get(column.name.removeprefix("profile."))
        if old is not None:
            at_s[old, f] = now_ms // 1000 - STALE_AGE_S
    return at_s


def _consent(status: str, mail: bool, now_ms: int) -> bytes | None:
    if status == "silent":
        return None
    if status == "garbled":
        return b'{"v": 1, "purposes": '
    given = now_ms - _YEAR_MS
    if status == "lapsed":
        personal = {"status": "granted", "given_at_ms": given, "expires_at_ms": now_ms - _DAY_MS}
    else:
        personal = {"status": status, "given_at_ms": given, "expires_at_ms": now_ms + _YEAR_MS}
    marketing = {"status": "granted" if mail else "denied", "given_at_ms": given}
    return consent.document({"personalization": personal, "marketing_email": marketing}, policy_version="2026-05")
