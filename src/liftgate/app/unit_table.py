"""Which pseudonyms of a log are one account, session or visitor: for those whose people are known, from keys of log and store."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from hashlib import sha256
from hmac import new
from os import urandom
from pathlib import Path
from typing import NamedTuple

from liftgate.adapters import redis_keys
from liftgate.adapters.person_keys import valid
from liftgate.adapters.pseudonyms import UNITS, Pseudonyms
from liftgate.adapters.redis_client import RedisClient, check
from liftgate.domain.errors import BadInput
from liftgate.record.units import TABLE

_CHUNK = 1_000


class Membership(NamedTuple):
    """Somebody seen with a unit."""

    person_id: str
    kind: str
    """account, session or visitor."""
    unit_id: str


class Row(NamedTuple):
    """One pseudonym of one unit."""

    kind: str
    pseudonym: bytes
    unit: bytes
    """16 bytes that are the unit's in this table alone."""


def read_memberships(path: Path) -> Iterator[Membership]:
    """Yield the memberships of a CSV file with the column person_id and one or more of account_id, session_id, visitor_id.

    Raises BadInput, which names line and column and no value.
    """
    columns = {f"{kind}_id": kind for kind in UNITS}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            named = [name for name in rows.fieldnames or () if name in columns]
            if "person_id" not in (rows.fieldnames or ()) or not named:
                raise BadInput(f"{path}: line 1 wants a header with person_id and one of {', '.join(columns)}")
            for row in rows:
                if not row["person_id"]:
                    raise BadInput(f"{path}: line {rows.line_num} wants a person_id")
                yield from (Membership(row["person_id"], columns[name], row[name]) for name in named if row[name])
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise BadInput(f"{path}: is no CSV in UTF-8") from None


async def rows_of(client: RedisClient, key: bytes, memberships: Iterable[Membership]) -> list[Row]:
    """Return the pseudonyms of all units: by the keys of people who have one, and by the log's key alone. Raises StoreUnavailable."""
    salt, personal = urandom(32), Pseudonyms.of_peoples_units(key)
    shared = {kind: Pseudonyms.of_accounts("", key) if kind == "account" else Pseudonyms.of_units(kind, "", key) for kind in UNITS}
    some, found = list(dict.fromkeys(memberships)), dict[tuple[str, bytes], bytes]()
    people = list(dict.fromkeys(one.person_id for one in some))
    keys: dict[str, bytes] = {}
    for i in range(0, len(people), _CHUNK):
        chunk = people[i : i + _CHUNK]
        replies = await client.call([("GET", redis_keys.person_key(person)) for person in chunk], 30.0)
        check(replies)
        keys |= {person: own for person, own in zip(chunk, map(valid, replies), strict=True) if own is not None}
    for one in some:
        unit = new(salt, f"{one.kind}:{one.unit_id}".encode("utf-8", "surrogatepass"), sha256).digest()[:16]
        found[one.kind, shared[one.kind](one.unit_id)] = unit
        if (own := keys.get(one.person_id)) is not None:
            found[one.kind, personal[one.kind].under(own, one.unit_id)] = unit
    return [Row(kind, pseudonym, unit) for (kind, pseudonym), unit in found.items()]


def write(log: Path, rows: list[Row]) -> Path:
    """Put the table beside the log, in the place of the one before, whole or not at all. Raises OSError. Wants pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = log / TABLE
    target.parent.mkdir(mode=0o700, exist_ok=True)
    part = target.with_suffix(".part")
    types = {"kind": pa.string(), "pseudonym": pa.binary(), "unit": pa.binary()}
    pq.write_table(pa.table({name: pa.array([getattr(row, name) for row in rows], of) for name, of in types.items()}), part)
    part.chmod(0o600)
    part.replace(target)
    return target
