"""One MGET for people of whom the same is asked: what it reads is what is read of them one way and another."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from liftgate.adapters import redis_keys
from liftgate.domain.profile import pack
from liftgate.pipeline.ports import Fetched, PersonKey
from tests.contract.conftest import Backend
from tests.contract.test_profile_store import SCHEMA, VALUES

CAPS = [b"cap-no-1", b"cap-no-2"]
KINDS = list(itertools.product([False, True], repeat=3))


async def stored(backend: Backend) -> list[str]:
    """Store something of every kind, and something else for everyone, of whom the third has nothing at all."""
    people = ["a", "b", "nobody", "{d}"]
    for i, person in enumerate(people):
        if person != "nobody":
            await backend.put_packed(person, pack(SCHEMA, [float(i), *VALUES[1:]], 100 + i))
            await backend.put_consent(person, b"consent %d" % i)
            await backend.put_history(person, b"%032d" % i)
            await backend.put_history(person, b"%064d" % i, ghost=True)
            await backend.put(redis_keys.lists(person), b"lists %d" % i)
            await backend.put(redis_keys.verdicts(person), b"verdicts %d" % i)
            await backend.put(redis_keys.windows(person), b"windows %d" % i)
    await backend.put(redis_keys.total(CAPS[1], False), b"counter")
    return people


def said(fetched: Fetched, count: int) -> list[Any]:
    """Return all that was read of the first so many people, to compare."""
    columns = [
        list(column[:count]) for column in (fetched.consent, fetched.history, fetched.profiles.value.tolist(), fetched.profiles.state)
    ]
    rows = [fetched.real_history, fetched.lists, fetched.verdicts, fetched.features]
    return [repr(columns), *({row: of[row] for row in of if row < count} for of in rows), list(fetched.totals)]


@pytest.mark.parametrize(("lists", "verdicts", "features"), KINDS)
@pytest.mark.parametrize("totals", [(), CAPS])
async def test_alike_or_not_the_same_is_read(
    single_backend: Backend, lists: bool, verdicts: bool, features: bool, totals: list[bytes]
) -> None:
    """Beside somebody of whom something else is asked, which takes another way, everyone is answered as without them."""
    if single_backend.client is None:
        pytest.skip("the fake has one way")
    asked = [
        PersonKey(person, i % 2 == 1, both=i == 1, lists=lists, verdicts=verdicts, features=features)
        for i, person in enumerate(await stored(single_backend))
    ]
    other = PersonKey("other", False, lists=not lists)
    store = single_backend.profiles()
    alike, mixed = await store.fetch(asked, SCHEMA, None, totals), await store.fetch([*asked, other], SCHEMA, None, totals)
    assert said(alike, 4) == said(mixed, 4)
    assert set(alike.lists) == (set(range(4)) if lists else set())
    assert list(alike.totals) == [None, b"counter"][: len(totals)]


async def test_a_list_of_another_type_is_unreadable_among_others(single_backend: Backend) -> None:
    """Where one key of lists is of another type, who has none is not told from them: all without a value are unreadable."""
    if single_backend.client is None:
        pytest.skip("values of the fake have one type")
    people = await stored(single_backend)
    await single_backend.client.call([("DEL", redis_keys.lists("b")), ("RPUSH", redis_keys.lists("b"), b"no")], 5.0)
    fetched = await single_backend.profiles().fetch([PersonKey(person, False, lists=True) for person in people], SCHEMA)
    assert [fetched.lists[row] for row in range(4)] == [b"lists 0", b"", b"", b"lists 3"]
