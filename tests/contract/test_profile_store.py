"""The ProfileStore port, sentence by sentence, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_profile_writer import RedisProfileWriter, StoredPerson
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.profile import ProfileState, pack
from liftgate.pipeline.ports import PersonKey
from tests.contract.conftest import Backend

AGE = Input("profile.age", InputType.INT)
COUNTRY = Input("profile.country", InputType.STRING, ("DE", "FR"))
SPEND = Input("profile.spend", InputType.FLOAT)
MEMBER = Input("profile.member", InputType.BOOL)
SEEN = Input("profile.seen", InputType.TIMESTAMP)
SCHEMA = InputSchema((AGE, COUNTRY, SPEND, MEMBER, SEEN), (Input("context.channel", InputType.STRING),))
VALUES = [41.0, 1.0, 12.5, 1.0, 1_767_225_600_000.0]

AWKWARD_IDS = [
    "plain",
    "",
    " ",
    "{",
    "}",
    "{}",
    "{a}b",
    "}{",
    "%",
    "%7D",
    "a%{}",
    "héllo wörld",
    "日本語",
    "\U0001f98a",
    "\r\n",
    "\0",
    "a\tb",
    "x" * 256,
    "\udcff",
]


def ask(*ids: str, ghost: bool = False) -> list[PersonKey]:
    """Return keys of people."""
    return [PersonKey(person_id, ghost) for person_id in ids]


async def test_answers_in_the_order_asked(backend: Backend) -> None:
    """People come back in the order asked, the same person twice when asked twice."""
    for i in range(5):
        await backend.put_packed(f"p{i}", pack(SCHEMA, [float(i), 0.0, 0.0, 0.0, 0.0], 100 + i))
    order = ["p3", "p0", "nobody", "p4", "p3", "p1"]
    fetched = await backend.profiles().fetch(ask(*order), SCHEMA)
    assert fetched.profiles.value[:, 0].tolist()[:2] == [3.0, 0.0]
    assert np.isnan(fetched.profiles.value[2]).all()
    assert fetched.profiles.value[3:, 0].tolist() == [4.0, 3.0, 1.0]
    assert fetched.profiles.at_s[3:, 0].tolist() == [104.0, 103.0, 101.0]
    missing = ProfileState.MISSING
    assert fetched.profiles.state.tolist() == [missing if person_id == "nobody" else ProfileState.FOUND for person_id in order]


async def test_nobody_asked_for_is_nobody(backend: Backend) -> None:
    """An empty batch gives empty columns."""
    fetched = await backend.profiles().fetch([], SCHEMA)
    assert fetched.profiles.value.shape == (0, 5)
    assert list(fetched.consent) == list(fetched.history) == []


async def test_consent_and_history_come_as_stored(backend: Backend) -> None:
    """Consent and history are the stored bytes, None where nothing is stored, whether or not there is a profile."""
    await backend.put_consent("a", b'{"v": 1}')
    await backend.put_consent("b", b"\0\xff not json")
    await backend.put_history("b", b"h" * 32)
    await backend.put_packed("c", pack(SCHEMA, VALUES, 5))
    fetched = await backend.profiles().fetch(ask("a", "b", "c"), SCHEMA)
    assert list(fetched.consent) == [b'{"v": 1}', b"\0\xff not json", None]
    assert list(fetched.history) == [None, b"h" * 32, None]
    assert fetched.profiles.state.tolist() == [ProfileState.MISSING, ProfileState.MISSING, ProfileState.FOUND]


async def test_ghost_history_is_apart(backend: Backend) -> None:
    """`ghost` reads the ghost contact history and never the real one, in one batch too."""
    await backend.put_history("a", b"r" * 32)
    await backend.put_history("a", b"g" * 64, ghost=True)
    await backend.put_history("b", b"r" * 32)
    people = [*ask("a"), *ask("a", ghost=True), *ask("b", ghost=True), *ask("b")]
    assert list((await backend.profiles().fetch(people, SCHEMA)).history) == [b"r" * 32, b"g" * 64, None, b"r" * 32]


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_both_histories_of_an_account(single_backend: Backend, layout: str) -> None:
    """`both` reads the account's real entries alone too, beside the real and ghost ones together."""
    backend = single_backend
    for ghost, value in ((False, b"r" * 32), (True, b"g" * 32)):
        if backend.client is None:
            backend.fake_profiles.accounts["home", ghost] = value
        else:
            await backend.client.call([("SET", redis_keys.account("home", ghost), value)])
    people = [
        PersonKey("a", True, account_id="home", both=True),
        PersonKey("b", True, account_id="home"),
        PersonKey("c", False, account_id="home"),
        PersonKey("d", True, account_id="other", both=True),
    ]
    fetched = await backend.profiles(layout).fetch(people, SCHEMA)
    together = b"r" * 32 + b"g" * 32
    assert dict(fetched.account_history) == {0: together, 1: together, 2: b"r" * 32, 3: None}
    assert dict(fetched.real_account_history) == {0: b"r" * 32, 3: None}


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_consent_of_another_type_is_not_missing(redis_backend: Backend, layout: str) -> None:
    """Where it is to be certain that no consent is stored, a key of another type is an empty document and nobody's default."""
    backend = redis_backend
    assert backend.client is not None
    await backend.put_consent("a", b"{}")
    people = [PersonKey(person_id, False, certain=True) for person_id in ("a", "b", "a", "c")]
    assert list((await backend.profiles(layout).fetch(people, SCHEMA)).consent) == [b"{}", None, b"{}", None]
    await backend.client.call([("HSET", redis_keys.consent("b"), "status", "objected")])
    documents = list((await backend.profiles(layout).fetch(people, SCHEMA)).consent)
    assert documents[0] == b"{}"
    assert documents[1] == b""


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_both_histories_where_asked(backend: Backend, layout: str) -> None:
    """`both` reads the real contact history beside the ghost one, for those asked for so and for nobody else."""
    await backend.put_history("a", b"r" * 32)
    await backend.put_history("a", b"g" * 64, ghost=True)
    people = [*ask("a"), PersonKey("b", True, both=True), PersonKey("a", True, both=True), *ask("a", ghost=True)]
    fetched = await backend.profiles(layout).fetch(people, SCHEMA)
    assert list(fetched.history) == [b"r" * 32, None, b"g" * 64, b"g" * 64]
    assert dict(fetched.real_history) == {1: None, 2: b"r" * 32}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"LG",
        pack(SCHEMA, VALUES, 5)[:-1],
        pack(SCHEMA, VALUES, 5) + b"\0",
        b"XX" + pack(SCHEMA, VALUES, 5)[2:],
        pack(InputSchema((AGE, COUNTRY), ()), [1.0, 0.0], 5),
    ],
)
async def test_a_damaged_profile_is_unreadable_and_its_neighbours_are_not(backend: Backend, damaged: bytes) -> None:
    """A value of the wrong length, magic or schema is UNREADABLE with no value at all; the people beside it are FOUND."""
    await backend.put_packed("bad", damaged)
    await backend.put_packed("good", pack(SCHEMA, VALUES, 5))
    profiles = (await backend.profiles().fetch(ask("good", "bad", "good"), SCHEMA)).profiles
    assert profiles.state.tolist() == [ProfileState.FOUND, ProfileState.UNREADABLE, ProfileState.FOUND]
    assert np.isnan(profiles.value[1]).all()
    assert profiles.value[0].tolist() == profiles.value[2].tolist() == VALUES


async def test_awkward_ids_stay_apart(backend: Backend) -> None:
    """Unicode, braces, spaces, control characters and 256 bytes are ids like any other, and nobody gets another's value."""
    for i, person_id in enumerate(AWKWARD_IDS):
        await backend.put_packed(person_id, pack(SCHEMA, [float(i), 0.0, 0.0, 0.0, 0.0], 1))
        await backend.put_consent(person_id, b"c%d" % i)
    fetched = await backend.profiles().fetch(ask(*AWKWARD_IDS), SCHEMA)
    assert fetched.profiles.value[:, 0].tolist() == [float(i) for i in range(len(AWKWARD_IDS))]
    assert list(fetched.consent) == [b"c%d" % i for i in range(len(AWKWARD_IDS))]


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_what_the_writer_stores_the_store_reads(redis_backend: Backend, layout: str) -> None:
    """Both layouts give back values, missing values, times and consent exactly as written."""
    backend = redis_backend
    assert backend.client is not None
    nan = float("nan")
    writer = RedisProfileWriter(backend.client, SCHEMA, layout)  # type: ignore[arg-type]
    people = [
        StoredPerson("all", VALUES, 1_700_000_000, b'{"v": 1}'),
        StoredPerson("some", [nan, -1.0, 0.1, nan, nan], (0, 7, 8, 0, 9)),
        StoredPerson("none", [nan] * 5),
        StoredPerson("consent only", consent=b"{}"),
    ]
    await writer.store(people)
    fetched = await backend.profiles(layout).fetch(ask("all", "some", "none", "consent only"), SCHEMA)
    assert fetched.profiles.state.tolist() == [ProfileState.FOUND] * 3 + [ProfileState.MISSING]
    np.testing.assert_array_equal(fetched.profiles.value, [VALUES, [nan, -1.0, 0.1, nan, nan], [nan] * 5, [nan] * 5])
    np.testing.assert_array_equal(fetched.profiles.at_s, [[1_700_000_000] * 5, [nan, 7, 8, nan, 9], [nan] * 5, [nan] * 5])
    assert list(fetched.consent) == [b'{"v": 1}', None, None, b"{}"]


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_a_stored_profile_replaces_the_old_one_whole(redis_backend: Backend, layout: str) -> None:
    """Nothing of an earlier profile or of its times survives a later one; consent that is not given stays."""
    backend = redis_backend
    assert backend.client is not None
    nan = float("nan")
    writer = RedisProfileWriter(backend.client, SCHEMA, layout)  # type: ignore[arg-type]
    await writer.store([StoredPerson("a", VALUES, 50, b"kept")])
    await writer.store([StoredPerson("a", [1.0, nan, nan, nan, nan], (0, 0, 0, 0, 0))])
    fetched = await backend.profiles(layout).fetch(ask("a"), SCHEMA)
    np.testing.assert_array_equal(fetched.profiles.value, [[1.0, nan, nan, nan, nan]])
    assert np.isnan(fetched.profiles.at_s).all()
    assert list(fetched.consent) == [b"kept"]


HASHES: list[tuple[dict[str, str], list[float] | None]] = [
    ({"age": "41", "country": "FR", "spend": "12.5", "member": "1", "seen": "1767225600000"}, VALUES),
    ({"age": "41.0", "country": "FR", "spend": "1.25e1", "member": "true", "seen": "1767225600000", "_at": "3", "other": "thing"}, VALUES),
    ({"country": "IT", "age": ""}, [float("nan"), -1.0, float("nan"), float("nan"), float("nan")]),
    ({"age": "nan", "spend": "NaN", "age@": ""}, [float("nan")] * 5),
    ({"unrelated": "x"}, [float("nan")] * 5),
    ({"age": "4x"}, None),
    ({"age": "4.5"}, None),
    ({"age": "1_0"}, None),
    ({"age": str(2**60)}, None),
    ({"spend": "inf"}, None),
    ({"spend": "1e400"}, None),
    ({"member": "yes"}, None),
    ({"age": "41", "age@": "soon"}, None),
    ({"age": "41", "_at": "-1"}, None),
    ({"age": "41", "_at": "99999999999999"}, None),
]


@pytest.mark.parametrize(("fields", "values"), HASHES)
async def test_hashes_that_pipelines_write(redis_backend: Backend, fields: dict[str, str], values: list[float] | None) -> None:
    """A plain HASH is read as documented; a named field that cannot be read makes the profile UNREADABLE, never a guess."""
    backend = redis_backend
    assert backend.client is not None
    pairs = [text for pair in fields.items() for text in pair]
    await backend.client.call([("HSET", redis_keys.features("a"), *pairs), ("HSET", redis_keys.features("b"), "age", "7")])
    profiles = (await backend.profiles("hash").fetch(ask("a", "b"), SCHEMA)).profiles
    assert profiles.state[0] == (ProfileState.UNREADABLE if values is None else ProfileState.FOUND)
    np.testing.assert_array_equal(profiles.value[0], [float("nan")] * 5 if values is None else values)
    assert profiles.value[1, 0] == 7.0


async def test_hash_times_per_field_come_before_the_common_one(redis_backend: Backend) -> None:
    """`<name>@` says when one field was true, `_at` speaks for the others."""
    backend = redis_backend
    assert backend.client is not None
    await backend.client.call([("HSET", redis_keys.features("a"), "age", "1", "spend", "2", "age@", "70", "_at", "60.5")])
    profiles = (await backend.profiles("hash").fetch(ask("a"), SCHEMA)).profiles
    assert profiles.at_s[0].tolist() == [70.0, 60.5, 60.5, 60.5, 60.5]


async def test_a_key_of_another_type_is_unreadable_or_nothing(redis_backend: Backend) -> None:
    """A list where a HASH should be is UNREADABLE, and the neighbour is read."""
    backend = redis_backend
    assert backend.client is not None
    await backend.client.call([("LPUSH", redis_keys.features("a"), "x"), ("HSET", redis_keys.features("b"), "age", "7")])
    profiles = (await backend.profiles("hash").fetch(ask("a", "b"), SCHEMA)).profiles
    assert profiles.state.tolist() == [ProfileState.UNREADABLE, ProfileState.FOUND]


async def test_an_infinite_value_is_never_stored(redis_backend: Backend) -> None:
    """The writer refuses a batch with an infinite value before anything of it is stored."""
    backend = redis_backend
    assert backend.client is not None
    writer = RedisProfileWriter(backend.client, SCHEMA)
    with pytest.raises(ValueError, match="infinite"):
        await writer.store([StoredPerson("good", VALUES), StoredPerson("bad", [float("inf")] * 5)])
    fetched = await backend.profiles().fetch(ask("good", "bad"), SCHEMA)
    assert fetched.profiles.state.tolist() == [ProfileState.MISSING] * 2


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_verdicts_are_read_only_where_asked_for(backend: Backend, layout: str) -> None:
    """Among people of whom some have lists and real histories read too, each gets their own verdicts, and nobody who did not ask."""
    said = {"a": b"verdicts of a", "b}": b"verdicts of b"}
    for person, value in said.items():
        if backend.client is None:
            backend.fake_profiles.verdicts[person] = value
        else:
            await backend.client.call([("SET", redis_keys.verdicts(person), value)], 5.0)
    await backend.put_history("a", b"h" * 32)
    people = [
        PersonKey("a", True, both=True, verdicts=True),
        PersonKey("a", False),
        PersonKey("b}", False, lists=True, verdicts=True),
        PersonKey("c", False, verdicts=True),
    ]
    fetched = await backend.profiles(layout).fetch(people, SCHEMA)
    assert dict(fetched.verdicts) == {0: b"verdicts of a", 2: b"verdicts of b", 3: None}
    assert dict(fetched.real_history) == {0: b"h" * 32}
    assert set(fetched.lists) == {2}
