"""Where a person's values live. All keys of one person carry the same hash tag, so that they share one Cluster slot.

    lg:{<person>}:p   packed profile          lg:{<person>}:c   consent            lg:{<person>}:r:<request_id>   remembered answer
    lg:{<person>}:f   plain HASH of features  lg:{<person>}:h   contact history    lg:{<person>}:e:<event_id>     event seen
                                              lg:{<person>}:g   ghost contact history (held-out people)
                                              lg:{<person>}:s   do-not-contact lists that the person is on
                                              lg:{<person>}:w   what events say of the person, for features over windows
    lg:{%a:<account>}:h, :g   contact history of an account          lg:{%t:<cap id>}:h, :g   total counter

In `<person>`, `%`, `{` and `}` are written %25, %7B and %7D, and an empty id is a lone `%`: a tag is never empty or cut short.
"""

from __future__ import annotations


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


def total(cap_id: bytes, ghost: bool) -> bytes:
    """Return the key of a cap's total counter."""
    return b"lg:{%t:" + cap_id.hex().encode() + (b"}:g" if ghost else b"}:h")


def lists(person_id: str) -> bytes:
    """Return the key of the do-not-contact lists that the person is on."""
    return tag(person_id) + b"s"


def request(person_id: str, request_id: str) -> bytes:
    """Return the key under which an answer is remembered."""
    return tag(person_id) + b"r:" + request_id.encode("utf-8", "surrogatepass")


def event(person_id: str, event_id: str, own: bytes = b"") -> bytes:
    """Return the key under which an event is known as seen; `own`: the person's tag, where it is at hand."""
    return (own or tag(person_id)) + b"e:" + event_id.encode("utf-8", "surrogatepass")


def verdicts(person_id: str) -> bytes:
    """Return the key of what reviewers said of showing offers to the person."""
    return tag(person_id) + b"v"


def windows(person_id: str) -> bytes:
    """Return the key of what is kept of a person's events for features."""
    return tag(person_id) + b"w"
