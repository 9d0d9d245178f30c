"""The same features from a log of events, at any moment of the past: for training and for backfill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from liftgate.domain.event import Event
from liftgate.signals.cell import State, apply, packed, pruned
from liftgate.signals.evaluate import Evaluation, Values
from liftgate.signals.plan import FeaturePlan

CHUNK = 4096
"""Questions that are answered together."""
_MANY = 2
"""A state is pruned once it holds so many times what can matter."""


def known_events(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Return each person's events in order of receipt, each event once: what was received first stands, as it does online."""
    found: dict[str, dict[str, Event]] = {}
    for event in events:
        own = found.setdefault(event.person_id, {})
        first = own.get(event.event_id)
        if first is None or event.received_at_ms < first.received_at_ms:
            own[event.event_id] = event
    return {person: sorted(own.values(), key=lambda event: event.received_at_ms) for person, own in found.items()}


def values_at(plan: FeaturePlan, events: Iterable[Event], questions: Sequence[tuple[str, int]]) -> Values:
    """Return the features of (person, moment in ms) pairs, [questions, definitions].

    Point in time: of what happened counts what had been received by then, so nothing after the moment, and a late event from its receipt
    on, as online.
    """
    by_person = known_events(events)
    evaluation = Evaluation(plan)
    states: list[bytes | None] = [None] * len(questions)
    asked: dict[str, list[int]] = {}
    for i, (person, _) in enumerate(questions):
        asked.setdefault(person, []).append(i)
    for person, indices in asked.items():
        own, at = by_person.get(person, []), 0
        state: State = {}
        for i in sorted(indices, key=lambda i: questions[i][1]):
            moment = questions[i][1]
            while at < len(own) and own[at].received_at_ms <= moment:
                apply(state, plan.changes(own[at])[0])
                at += 1
            if len(state) > _MANY * plan.most_cells:
                state = pruned(state, plan.bounds(moment))
            states[i] = packed(state)
    parts = [
        evaluation(states[i : i + CHUNK], np.array([at_ms for _, at_ms in questions[i : i + CHUNK]], dtype=np.int64))
        for i in range(0, len(questions), CHUNK)
    ]
    if not parts:
        empty = np.zeros((0, len(plan.definitions)))
        return Values(empty, empty.copy(), np.zeros(0, dtype=np.bool_))
    return Values(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("value", "at_s", "stored")))


def state_at(plan: FeaturePlan, events: Iterable[Event], at_ms: int) -> bytes | None:
    """Return what would be stored of one person at a moment; None: nothing that matters."""
    state: State = {}
    for own in known_events(events).values():
        for event in own:
            if event.received_at_ms <= at_ms:
                apply(state, plan.changes(event)[0])
    return packed(pruned(state, plan.bounds(at_ms)))
