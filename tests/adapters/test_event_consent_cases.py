"""Golden cases of exposures and consent, through the whole of EventService.Record: the answer, the row, and the answer to a repetition."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.bundle.load import load_bundle
from liftgate.domain.consent import document
from liftgate.pipeline.live import Live
from liftgate.v1.event_service_pb2 import Event
from liftgate.v1.reason_pb2 import Reason
from tests.adapters.event_desk import EventDesk, event_desk
from tests.fakes.events import FakeEventsSeen

ROOT = Path(__file__).parents[1] / "cases"
CASES = [case for path in sorted((ROOT / "events").glob("*.yaml")) for case in YAML(typ="safe").load(path)]
NOW_MS = 1_781_524_800_000
"""2026-06-15T12:00:00Z."""
HOUR = 3_600_000


class _NoModels:
    def score(self, model: Any, matrix: Any) -> Any:
        raise AssertionError("no event needs a model")


LIVE = Live(load_bundle(ROOT / "bundles" / "consent"), _NoModels())


def stored(given: dict[str, Any]) -> bytes | None:
    """Return the consent document of a case."""
    if "raw_consent" in given:
        return str(given["raw_consent"]).encode()
    if given.get("consent") is None:
        return None
    purposes = {}
    for name, record in given["consent"].items():
        purposes[name] = {key if key == "status" else f"{key}_ms": _ms(value) for key, value in record.items()}
    return document(purposes)


def _ms(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)


@pytest.mark.parametrize("case", CASES, ids=[case["says"] for case in CASES])
async def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    """The case's exposure is answered, logged and remembered as it wants."""
    given, told, want = case["given"], case["event"], case["want"]
    seen = FakeEventsSeen(down=bool(given.get("away")))
    raw = stored(given)
    if raw is not None:
        seen.consent["ada"] = raw
    decided = told.get("decision", f"{NOW_MS - HOUR:012x}7{'a' * 19}")
    event = Event(
        event_id="e",
        kind=f"EVENT_KIND_{told.get('kind', 'EXPOSURE')}",
        person_id="ada",
        decision_id=decided or "",
        offer_id=told["offer"],
        channel=told.get("channel", ""),
        jurisdiction=told.get("jurisdiction", ""),
        occurred_at_ms=_ms(told.get("occurred_at", 0)),
    )
    async with event_desk(tmp_path, LIVE, seen, NOW_MS) as desk:
        await _judge(desk, event, want)


async def _judge(desk: EventDesk, event: Event, want: dict[str, str] | None) -> None:
    answer = await desk.record(event)
    (row,) = desk.log.rows
    assert row.person_pseudonym == Pseudonyms("k1", b"k" * 32)("ada")
    if want is None:
        assert (answer.accepted, list(answer.revocations)) == (1, [])
        assert row.reason == row.consent_reason == 0
        return
    (revoked,) = answer.revocations
    assert answer.accepted == 0
    assert Reason.Name(revoked.reason) == f"REASON_{want['reason']}"
    assert Reason.Name(revoked.consent_reason) == f"REASON_{want['consent_reason']}"
    assert revoked.purpose == want["purpose"]
    assert (row.reason, row.consent_reason) == (revoked.reason, revoked.consent_reason)
    if not desk.seen.down:
        again = await desk.record(event)
        assert (again.accepted, [one.index for one in again.revocations], len(desk.log.rows)) == (0, [0], 1)
