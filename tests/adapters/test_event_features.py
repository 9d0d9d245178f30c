"""Events and features: whose features an event may change, and what becomes of it when that cannot be told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from liftgate.adapters.memory_contacts import MemoryContactEvents
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.load import load_bundle
from liftgate.domain import consent
from liftgate.pipeline.live import Live
from liftgate.v1.event_service_pb2 import Event, EventKind
from tests.adapters.event_desk import EventDesk, event_desk
from tests.fakes.events import FakeEventsSeen

BUNDLES = Path(__file__).parents[1] / "cases" / "bundles"
NOW_MS = 1_781_524_800_000
BUNDLE = load_bundle(BUNDLES / "features")
LIVE = Live(BUNDLE, OnnxModels.load(BUNDLE))
VIEWS = next(d for d, each in enumerate(BUNDLE.streams) if each.input.name == "profile.views_1h")


class Desk:
    """The service on memory, and a look at features."""

    def __init__(self, desk: EventDesk, contacts: MemoryContactEvents) -> None:
        self.desk, self.contacts = desk, contacts

    def views(self, person: str) -> float:
        """Return how often the person has viewed products within the hour, by what is kept."""
        assert LIVE.evaluation is not None
        return float(LIVE.evaluation([self.contacts.features.get(person)], np.array([NOW_MS])).value[0, VIEWS])


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A fresh service; `yes` agrees to the use of the profile."""
    seen, contacts = FakeEventsSeen(), MemoryContactEvents({}, {}, {})
    seen.consent["yes"] = consent.document({"personalization": {"status": "granted"}})
    async with event_desk(tmp_path, LIVE, seen, NOW_MS, contacts) as made:
        yield Desk(made, contacts)


def view(event_id: str, person: str = "yes", at_ms: int = NOW_MS) -> Event:
    """Return a product view."""
    return Event(event_id=event_id, kind=EventKind.EVENT_KIND_CUSTOM, name="product_view", person_id=person, occurred_at_ms=at_ms)


async def test_an_event_changes_features_once(desk: Desk) -> None:
    """Repeated within a batch and in another: it counts once."""
    await desk.desk.record(view("e1"), view("e1"), view("e2"))
    await desk.desk.record(view("e2"), view("e3"))
    assert desk.views("yes") == 3


@pytest.mark.parametrize(
    "document",
    [
        None,
        b"not a document",
        consent.document({"personalization": {"status": "denied"}}),
        consent.document({"personalization": {"status": "withdrawn", "withdrawn_at_ms": NOW_MS - 1}}),
        consent.document({"personalization": {"status": "granted", "expires_at_ms": NOW_MS}}),
        consent.document({"other": {"status": "granted"}}),
    ],
)
async def test_nothing_is_kept_of_who_does_not_agree(desk: Desk, document: bytes | None) -> None:
    """Unknown is never yes: without a grant in force an event is logged and no feature is stored, while others' in the batch are."""
    if document is not None:
        desk.desk.seen.consent["no"] = document
    answer = await desk.desk.record(view("e1", "no"), view("e1", "yes"))
    assert (answer.accepted, answer.uncounted) == (2, 0)
    assert len(desk.desk.log.rows) == 2
    assert "no" not in desk.contacts.features
    assert desk.views("yes") == 1


async def test_agreeing_later_counts_from_then_on(desk: Desk) -> None:
    """What came before the consent is not made up for by it; what comes after counts."""
    await desk.desk.record(view("e1", "new"))
    desk.desk.seen.consent["new"] = desk.desk.seen.consent["yes"]
    await desk.desk.record(view("e1", "new"), view("e2", "new"))
    assert desk.views("new") == 1


async def test_an_event_whose_consent_cannot_be_read_waits(desk: Desk) -> None:
    """With the store away the event is logged and uncounted; sent again it counts, once."""
    desk.desk.seen.down = True
    answer = await desk.desk.record(view("e1"))
    assert (answer.accepted, answer.uncounted) == (1, 1)
    assert "yes" not in desk.contacts.features
    desk.desk.seen.down = False
    for _ in range(2):
        answer = await desk.desk.record(view("e1"))
        assert answer.uncounted == 0
    assert desk.views("yes") == 1


async def test_a_feature_that_no_event_concerns_costs_no_consent(desk: Desk) -> None:
    """An event that changes no feature is taken with whatever consent, and keeps nothing."""
    await desk.desk.record(Event(event_id="e1", kind=EventKind.EVENT_KIND_DISMISS, person_id="no"))
    assert desk.contacts.features == {}
