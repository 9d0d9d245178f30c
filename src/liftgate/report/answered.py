"""An answer as its command prints it: plain data, with a refusal or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liftgate.measure.envelope import enveloped
from liftgate.measure.plain import plain
from liftgate.measure.refusal import Misused, Refused

Answer = dict[str, Any]


def answered(what: str, compute: Callable[[], Answer]) -> Answer:
    """Return an answer as `liftgate measure <what>` prints it; what was asked wrongly of this log is a refusal on a page."""
    try:
        found = compute()
    except Refused as err:
        found = {"refusal": err.refusal.as_json()}
    except Misused as err:
        words = {"code": "asked_wrongly", "why": str(err), "what_to_do": "look at the command and at the log's columns"}
        found = {"refusal": words}
    return dict(plain(enveloped(what, found)))
