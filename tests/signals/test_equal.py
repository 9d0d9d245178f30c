"""Features online, offline and by their definitions are the same, at every moment, whatever comes in what order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.domain.event import Event
from liftgate.domain.feature import DAY, HOUR, MINUTE
from liftgate.domain.input import Floats
from liftgate.signals.cell import State, apply, packed, pruned, unpacked
from liftgate.signals.evaluate import Evaluation
from liftgate.signals.offline import state_at, values_at
from tests.signals.reference import feature, known
from tests.signals.streams import DEFINITIONS, GROUPS, NOW, PLAN, stream

EVALUATION = Evaluation(PLAN)
EXACT = [d for d, each in enumerate(DEFINITIONS) if not each.half_life_ms and each.aggregate not in ("sum", "mean")]
"""Features that are whole numbers, ratios of whole numbers, or values as they came."""


def online(events: Sequence[Event], questions: Sequence[tuple[str, int]]) -> tuple[Floats, Floats]:
    """Return values and times as a store that forgets as it goes would give them at each moment."""
    kept: dict[str, bytes | None] = {}
    seen: set[tuple[str, str]] = set()
    value, at_s = np.empty((len(questions), len(DEFINITIONS))), np.empty((len(questions), len(DEFINITIONS)))
    at = 0
    for i in sorted(range(len(questions)), key=lambda i: questions[i][1]):
        person, now_ms = questions[i]
        while at < len(events) and events[at].received_at_ms <= now_ms:
            event = events[at]
            at += 1
            if (event.person_id, event.event_id) in seen:
                continue
            seen.add((event.person_id, event.event_id))
            state = unpacked(kept.get(event.person_id))
            assert state is not None
            apply(state, PLAN.changes(event)[0])
            kept[event.person_id] = packed(pruned(state, PLAN.bounds(event.received_at_ms)))
        found = EVALUATION([kept.get(person)], np.array([now_ms]))
        value[i], at_s[i] = found.value[0], found.at_s[0]
    return value, at_s


def moments(dice: random.Random, people: int, count: int, span_ms: int) -> list[tuple[str, int]]:
    """Return (person, moment) pairs, most of them while events come in."""
    return [(f"p{dice.randrange(people)}", NOW - dice.randrange(span_ms) + dice.choice([0, 0, HOUR])) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_offline_equals_online(seed: int) -> None:
    """8,000 events with repeats, late ones and clocks that run ahead, 1,500 moments, 16 features: 0 differences, times included."""
    dice = random.Random(seed)
    events = stream(dice, people=20, events=8_000, span_ms=3 * DAY)
    events += [replace(one, received_at_ms=one.received_at_ms + dice.randrange(HOUR)) for one in dice.sample(events, 2_000)]
    events.sort(key=lambda one: one.received_at_ms)
    questions = moments(dice, 22, 1_500, 3 * DAY)
    value, at_s = online(events, questions)
    shuffled = list(events)
    dice.shuffle(shuffled)
    found = values_at(PLAN, shuffled, questions)
    np.testing.assert_array_equal(found.value, value)
    np.testing.assert_array_equal(found.at_s, at_s)
    assert np.isnan(value).mean() < 0.4, "too few features have a value to compare"


@pytest.mark.parametrize("seed", range(3))
def test_features_are_what_their_definitions_say(seed: int) -> None:
    """Every feature at every moment is what looking at all events anew gives; sums and weights but for the last digits."""
    dice = random.Random(100 + seed)
    events = stream(dice, people=6, events=1_200, span_ms=2 * DAY)
    questions = moments(dice, 7, 150, 2 * DAY)
    found = values_at(PLAN, events, questions).value
    for row, (person, now_ms) in enumerate(questions):
        own = known(events, person, now_ms)
        for d, definition in enumerate(DEFINITIONS):
            expected = feature(own, definition, now_ms, GROUPS)
            if definition.aggregate == "distinct" and expected > definition.exact_up_to:
                assert definition.exact_up_to < found[row, d] <= 1.5 * expected
            elif d in EXACT:
                assert found[row, d] == expected or (np.isnan(expected) and np.isnan(found[row, d])), (definition.input.name, row)
            else:
                assert found[row, d] == pytest.approx(expected, rel=1e-9, abs=1e-6, nan_ok=True), (definition.input.name, row)


BURST = st.lists(
    st.tuples(st.integers(0, 40), st.integers(-3 * MINUTE, 2 * HOUR), st.integers(0, 3 * HOUR), st.randoms(use_true_random=False)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(burst=BURST, shuffle=st.randoms(use_true_random=False), later=st.integers(0, 3 * HOUR))
def test_order_and_repeats_do_not_matter(burst: list[tuple[int, int, int, random.Random]], shuffle: random.Random, later: int) -> None:
    """Any events in any order, some twice, end bit for bit in the features of the clean ordered stream."""
    events = []
    for i, (_, delay, received, dice) in enumerate(burst):
        one = stream(dice, people=1, events=1, span_ms=1, end_ms=NOW - received)[0]
        events.append(replace(one, event_id=f"e{i}", occurred_at_ms=NOW - received - delay, received_at_ms=NOW - received, late=False))
    again = [*events, *shuffle.sample(events, len(events) // 3)]
    shuffle.shuffle(again)
    clean: State = {}
    messy: State = {}
    for one in sorted(events, key=lambda one: one.occurred_at_ms):
        apply(clean, PLAN.changes(one)[0])
    seen = set()
    for one in again:
        if one.event_id not in seen:
            seen.add(one.event_id)
            apply(messy, PLAN.changes(one)[0])
            messy = pruned(messy, PLAN.bounds(one.received_at_ms))
    now = np.array([NOW + later])
    np.testing.assert_array_equal(EVALUATION([packed(messy)], now).value, EVALUATION([packed(clean)], now).value)


def test_an_event_between_receipt_and_question_counts_from_its_receipt() -> None:
    """A late event is not known before it came, whenever it happened; a backfilled state says the same."""
    one = stream(random.Random(1), people=1, events=1, end_ms=NOW)[0]
    one = replace(one, kind=16, name="product_view", occurred_at_ms=NOW - 30 * MINUTE, received_at_ms=NOW, late=False, reliability=1)
    before, after = values_at(PLAN, [one], [("p0", NOW - 1), ("p0", NOW)]).value[:, 0]
    assert (before, after) == (0, 1)
    assert state_at(PLAN, [one], NOW - 1) is None
    assert EVALUATION([state_at(PLAN, [one], NOW)], np.array([NOW])).value[0, 0] == 1


def test_a_batch_is_its_people_one_by_one() -> None:
    """Values do not depend on who else is in the batch, damaged neighbours included."""
    dice = random.Random(7)
    events = stream(dice, people=30, events=2_000)
    states: list[bytes | None] = [state_at(PLAN, [one for one in events if one.person_id == f"p{i}"], NOW) for i in range(30)]
    states[3], states[4], states[5] = None, b"damaged", b""
    now = np.full(30, NOW)
    together = EVALUATION(states, now)
    for i, state in enumerate(states):
        alone = EVALUATION([state], now[:1])
        np.testing.assert_array_equal(together.value[i], alone.value[0])
        np.testing.assert_array_equal(together.at_s[i], alone.at_s[0])
    assert np.isnan(together.value[4:6]).all()
    assert together.value[3, 0] == 0
    assert together.stored.tolist() == [i not in (3, 4, 5) for i in range(30)]


def test_many_distinct_values_are_estimated() -> None:
    """Above the limit the number is an estimate that is close: within 15 % for up to 500 values."""
    base = replace(
        stream(random.Random(1), people=1, events=1)[0], kind=16, name="product_view", occurred_at_ms=NOW, late=False, reliability=1
    )
    column = next(d for d, each in enumerate(DEFINITIONS) if each.input.name == "profile.items_seen")
    for count in (16, 17, 50, 200, 500):
        events = [replace(base, event_id=f"e{i}", received_at_ms=NOW, properties={"item": f"thing-{i}"}) for i in range(count)]
        found = EVALUATION([state_at(PLAN, events, NOW)], np.array([NOW])).value[0, column]
        assert found == pytest.approx(count, rel=0.15) if count > 16 else found == count
