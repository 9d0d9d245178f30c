"""Where a person's values live. All keys of one person carry the same hash tag, so that they share one Cluster slot.

    lg:{<person>}:p   packed profile          lg:{<person>}:c   consent            lg:{<person>}:r:<request_id>   remembered answer
    lg:{<person>}:f   plain HASH of features  lg:{<person>}:h   contact history    lg:{<person>}:e:<event_id>     event seen
                                              lg:{<person>}:q:<reservation>   a decision's record, until it is in a log
                                              lg:{<person>}:g   ghost contact history (held-out people)
                                              lg:{<person>}:s   do-not-contact lists that the person is on
                                              lg:{<person>}:w   what events say of the person, for features over windows
                                              lg:{<person>}:l   history of consent (LIST)
                                              lg:{<person>}:k   the person's key: what pseudonyms are made with
    lg:{%q:<name>}   records of several decisions, until all of them are in a log
    lg:{%x:<hash>}   tombstone of somebody erased, by a keyed hash of the id
    lg:{%a:<account>}:h, :g   contact history of an account          lg:{%t:<cap id>}:h, :g   total counter

In `<person>`, `%`, `{` and `}` are written %25, %7B and %7D, and an empty id is a lone `%`: a tag is never empty or cut short.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Iterable
from functools import lru_cache


# A decision asks for it five times: to fetch, for the person's key, to reserve, for the answer, to confirm.
@lru_cache(maxsize=1024)
def tag(person_id: str) -> bytes:
    """Return the common beginning of a person's keys, `lg:{<person>}:`. Different people never share it."""
    if "%" in person_id or "{" in person_id or "}" in person_id:
        person_id = person_id.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    # Lone surrogates can arrive from JSON; they are bytes here like anything else.
    return b"lg:{" + (person_id.encode("utf-8", "surrogatepass") or b"%") + b"}:"


def profile(person_id: str) -> bytes:
    """Return the key of the packed profile."""
    return tag(person_id) + b"p"


def features(person_id: str) -> bytes:
    """Return the key of the plain HASH of features."""
    return tag(person_id) + b"f"


def consent(person_id: str) -> bytes:
    """Return the key of the consent document."""
    return tag(person_id) + b"c"


def history(person_id: str, ghost: bool) -> bytes:
    """Return the key of the contact history, or of the ghost contact history."""
    return tag(person_id) + (b"g" if ghost else b"h")


def account(account_id: str, ghost: bool) -> bytes:
    """Return the key of an account's contact history. No person's tag begins with `%a:`: a `%` of theirs is written %25."""
    escaped = account_id.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return b"lg:{%a:" + escaped.encode("utf-8", "surrogatepass") + (b"}:g" if ghost else b"}:h")


@lru_cache(maxsize=1024)
def total(cap_id: bytes, ghost: bool) -> bytes:
    """Return the key of a cap's total counter."""
    return b"lg:{%t:" + cap_id.hex().encode() + (b"}:g" if ghost else b"}:h")


def lists(person_id: str) -> bytes:
    """Return the key of the do-not-contact lists that the person is on."""
    return tag(person_id) + b"s"


def request(person_id: str, request_id: str) -> bytes:
    """Return the key under which an answer is remembered."""
    return tag(person_id) + b"r:" + request_id.encode("utf-8", "surrogatepass")


def record(person_id: str, reservation: bytes) -> bytes:
    """Return the key under which a decision's record waits for its log. `reservation`: in hexadecimal."""
    return tag(person_id) + b"q:" + reservation


def records(name: bytes) -> bytes:
    """Return the key under which the records of several decisions wait. No person's tag begins with `%q:`."""
    return b"lg:{%q:" + name + b"}"


def event(person_id: str, event_id: str, own: bytes = b"") -> bytes:
    """Return the key under which an event is known as seen; `own`: the person's tag, where it is at hand."""
    return (own or tag(person_id)) + b"e:" + event_id.encode("utf-8", "surrogatepass")


def verdicts(person_id: str) -> bytes:
    """Return the key of what reviewers said of showing offers to the person."""
    return tag(person_id) + b"v"


def windows(person_id: str) -> bytes:
    """Return the key of what is kept of a person's events for features."""
    return tag(person_id) + b"w"


def consent_history(person_id: str) -> bytes:
    """Return the key of the history of consent."""
    return tag(person_id) + b"l"


def person_key(person_id: str) -> bytes:
    """Return the key of what the person's pseudonyms are made with."""
    return tag(person_id) + b"k"


def tombstone(hashed: bytes) -> bytes:
    """Return the key of a tombstone, by the keyed hash of the id. No person's tag begins with `%x:`."""
    return b"lg:{%x:" + hashed.hex().encode() + b"}"


def tombstones(hashed: Iterable[bytes]) -> list[bytes]:
    """Return `tombstone` of each."""
    return [b"lg:{%x:" + one + b"}" for one in map(hexlify, hashed)]


TOMBSTONES = b"lg:{%x:*}"
"""The pattern that every tombstone's key fits, and no other."""


OWN = (b"p", b"f", b"c", b"l", b"h", b"g", b"s", b"v", b"w", b"k")
"""What a person's keys end with that have a fixed name; answers (`r:`) and events (`e:`) have names of their own."""


def of_account(account_id: str) -> tuple[bytes, ...]:
    """Return every key of an account."""
    return account(account_id, False), account(account_id, True)


def person_of(key: bytes) -> str | None:
    """Return whose key it is; None: no person's."""
    end = key.find(b"}:")
    if not key.startswith(b"lg:{") or end < 0:
        return None
    inner = key[4:end]
    if inner == b"%":
        return ""
    if inner[:3] in (b"%a:", b"%t:", b"%x:"):
        return None
    return inner.decode("utf-8", "surrogatepass").replace("%7B", "{").replace("%7D", "}").replace("%25", "%")
