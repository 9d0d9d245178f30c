"""An answer as its command prints it: plain data, with a refusal or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liftgate.measure.plain import plain
from liftgate.measure.refusal import Misused, Refused

Answer = dict[str, Any]


def answered(compute: Callable[[], Answer]) -> Answer:
    """Return an answer as its command prints it; what was asked wrongly of this log is a refusal on a page."""
    try:
        return dict(plain({"refusal": None} | compute()))
    except Refused as err:
        return {"refusal": err.refusal.as_json()}
    except Misused as err:
        return {"refusal": {"code": "asked_wrongly", "why": str(err), "what_to_do": "look at the command and at the log's columns"}}
