"""Where keys lie: one slot a person, no two people under one key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from liftgate.adapters import redis_keys

ids = st.text(max_size=64) | st.text("{}%2357BD:pcfhgre", max_size=12)


def all_keys(person_id: str) -> list[bytes]:
    """Return every key of a person, with awkward request and event ids."""
    plain = [redis_keys.profile, redis_keys.features, redis_keys.consent]
    own = [key(person_id) for key in plain] + [redis_keys.history(person_id, ghost) for ghost in (False, True)]
    return own + [key(person_id, other) for key in (redis_keys.request, redis_keys.event) for other in ("", "}{", "{x}", "a:b")]


@given(ids)
def test_all_keys_of_a_person_share_a_slot(person_id: str) -> None:
    """Every key carries the same, whole, non-empty hash tag."""
    keys = all_keys(person_id)
    assert len({key_slot(key) for key in keys}) == 1
    assert len(set(keys)) == len(keys)
    for key in keys:
        start = key.index(b"{")
        assert key.index(b"}", start) > start + 1, "the tag is not empty"
        assert key[: key.index(b"}") + 2] == redis_keys.tag(person_id), "the tag is not cut short"


@given(ids, ids)
def test_two_people_share_no_key(one: str, other: str) -> None:
    """Different ids never meet in any key."""
    if one != other:
        assert not set(all_keys(one)) & set(all_keys(other))


def test_the_form_that_pipelines_write() -> None:
    """Keys are as docs/redis.md shows them."""
    assert redis_keys.profile("c-17") == b"lg:{c-17}:p"
    assert redis_keys.features("a{b}%") == b"lg:{a%7Bb%7D%25}:f"
    assert redis_keys.consent("") == b"lg:{%}:c"
    assert redis_keys.history("ü", False) == "lg:{ü}:h".encode()
    assert redis_keys.history("ü", True) == "lg:{ü}:g".encode()
    assert redis_keys.request("p", "r-1") == b"lg:{p}:r:r-1"
    assert redis_keys.event("p", "e-1") == b"lg:{p}:e:e-1"
