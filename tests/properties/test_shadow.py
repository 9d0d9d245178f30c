"""Guardrails in shadow, and guardrails in any order."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.control import ControlColumns
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.guardrails.chain import Chain

NOW_MS = 1_781_524_800_000
GUARDRAILS = {
    "consent": range(10, 20),
    "eligibility": range(20, 30),
    "suppression": range(30, 32),
    "lists": range(32, 34),
    "quiet_hours": range(35, 37),
    "exclusions": range(37, 38),
    "caps": range(40, 41),
}
"""Name to its reasons."""
OFFERS = ("a", "b", "c", "default")

conditions = st.sampled_from(
    ["profile.x > 1", "profile.x < 2 || profile.y > 0.5", "has(profile.y)", "profile.y < 0.5", "offer.value > 1.5"]
)
rules = st.fixed_dictionaries(
    {},
    optional={
        "eligible_if": conditions,
        "applicable_if": conditions,
        "suitable_if": conditions,
        "suppress_if": conditions,
        "purposes": st.sampled_from([["p"], ["q"], ["p", "q"]]),
        "channels": st.sampled_from([["web"], ["web", "app"]]),
        "caps": st.just([{"max": 1, "per": "7d"}]),
    },
)
offers = st.fixed_dictionaries(
    {"value": st.sampled_from([1.0, 2.0])}, optional={"group": st.just("g"), "until": st.just("2026-06-15T12:00:00Z")}
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A bundle of four offers, one group and one placement, with rules of every kind."""
    group = draw(rules)
    catalog = {name: draw(offers) | draw(rules) for name in OFFERS}
    catalog["default"].pop("caps", None)
    if "caps" in group:
        catalog["default"].pop("group", None)
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more["lists"] = {"all": {}, "some": {"offers": ["a", "c"], "channels": ["web"]}}
    if draw(st.booleans()):
        more["exclusions"] = {"one": {"offers": ["a", "b"], "within": "7d"}}
    if draw(st.booleans()):
        more["contact_policy"] = {"quiet_hours": {"from": "12:00", "to": "13:00"} | draw(st.sampled_from([{}, {"channels": ["web"]}]))}
    return more | {
        "bundle": "shadows",
        "currency": "EUR",
        "time_zone": "UTC",
        "profile_purpose": "none",
        "features": {"x": {"type": "int"}, "y": {"type": "float"}},
        "purposes": {"p": {}, "q": {}},
        "groups": {"g": group},
        "offers": catalog,
        "placements": {"place": {"offers": "all", "default_offer": "default", "select": {"policy": "epsilon_greedy", "epsilon": 0.1}}},
    }


def load(document: Mapping[str, Any]) -> Bundle:
    """Return a bundle through its file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bundle.yaml").write_text(json.dumps(document), encoding="utf-8")
        return load_bundle(Path(folder))


def guarded(bundle: Bundle, seed: int, order: tuple[int, ...] | None = None) -> Batch:
    """Return a batch of thirty people, made from the seed, after the chain; `order`: of its guardrails."""
    generator, n = np.random.default_rng(seed), 30
    channels = generator.choice(["web", "app", "email", ""], n)
    zones = generator.choice(["", "", "Asia/Tokyo", "Nowhere"], n)
    requests = [
        DecideRequest("r", "p", "place", context=Context(channel=str(channel), time_zone=str(zone)))
        for channel, zone in zip(channels, zones, strict=True)
    ]
    for row in np.flatnonzero(generator.random(n) < 0.2):
        requests[row].candidates = ("a", "c")
    batch = Batch(requests, np.full(n, NOW_MS, dtype=np.int64))
    batch.placement = np.zeros(n, dtype=np.intp)
    # With the store away every counter gives one reason, which then is no one guardrail's.
    batch.profile_state = np.full(n, ProfileState.FOUND, dtype=np.uint8)
    batch.inputs = np.full((n, len(bundle.schema.inputs)), np.nan)
    batch.inputs[:, 0] = generator.choice([0.0, 1.0, 2.0, np.nan], n)
    batch.inputs[:, 1] = generator.choice([0.0, 0.6, np.nan], n)
    batch.consent = generator.choice(np.array([1, 1, 1, 10, 11], dtype=np.uint8), (n, 2))
    batch.cap_room = generator.integers(0, 2, (n, len(bundle.caps)))
    if bundle.suppressions.lists:
        batch.listed = generator.random((n, len(bundle.suppressions.lists))) < 0.2
        batch.listed_unknown = generator.random(n) < 0.1
    stopped = generator.random(len(OFFERS)) < 0.1
    batch.controls = ControlColumns(known=True, stopped=stopped if stopped.any() else None)
    chain = Chain(bundle)
    if order is not None:
        chain.guardrails = tuple(chain.guardrails[i] for i in order)
    chain.evaluate(batch)
    return batch


@pytest.mark.parametrize("name", GUARDRAILS)
@settings(max_examples=40, deadline=None)
@given(document=documents(), seed=st.integers(0, 2**31))
def test_shadow_changes_only_what_the_guardrail_denied(name: str, document: dict[str, Any], seed: int) -> None:
    """Turned to shadow, a guardrail's own denials are gone, nothing else changes, and the shadow column is what it denied when enforced."""
    enforced = guarded(load(document), seed)
    shadowed = guarded(load(document | {"guardrails": {name: "shadow"}}), seed)
    denied = np.isin(enforced.reason, list(GUARDRAILS[name]))
    assert enforced.shadow_reason is None
    assert shadowed.shadow_reason is not None
    assert np.array_equal(shadowed.shadow_reason, np.where(denied, enforced.reason, Reason.UNSPECIFIED))
    assert np.array_equal(shadowed.reason[~denied], enforced.reason[~denied])
    assert np.array_equal(shadowed.allowed[~denied], enforced.allowed[~denied])
    assert not np.isin(shadowed.reason, list(GUARDRAILS[name])).any()
    assert (shadowed.default_allowed >= enforced.default_allowed).all()


@settings(max_examples=40, deadline=None)
@given(document=documents(), seed=st.integers(0, 2**31), data=st.data())
def test_the_order_of_guardrails_never_changes_the_mask(document: dict[str, Any], seed: int, data: st.DataObject) -> None:
    """Over permutations of the chain the same offers are allowed, and the same default offers; a denied one always has a reason."""
    bundle = load(document)
    usual = guarded(bundle, seed)
    count = len(Chain(bundle).guardrails)
    order = data.draw(st.permutations(range(count)))
    other = guarded(bundle, seed, tuple(order))
    assert np.array_equal(usual.allowed, other.allowed)
    assert np.array_equal(usual.default_allowed, other.default_allowed)
    assert np.array_equal(usual.reason == Reason.ALLOWED, other.reason == Reason.ALLOWED)
    assert ((other.reason > Reason.CHOSEN) == ~other.allowed).all()


def test_any_guardrail_may_come_first() -> None:
    """Each guardrail put first, and all of them turned around, over one bundle in which most of them deny somebody something."""
    document = {
        "bundle": "shadows",
        "currency": "EUR",
        "time_zone": "UTC",
        "profile_purpose": "none",
        "features": {"x": {"type": "int"}, "y": {"type": "float"}},
        "purposes": {"p": {}, "q": {}},
        "offers": {
            "a": {"value": 1.0, "purposes": ["p"], "eligible_if": "profile.x > 1"},
            "b": {"value": 1.0, "suppress_if": "profile.y > 0.5", "caps": [{"max": 1, "per": "7d"}]},
            "c": {"value": 1.0, "suitable_if": "profile.x > 0", "channels": ["web"]},
            "default": {"value": 1.0, "suppress_if": "profile.x > 1"},
        },
        "placements": {"place": {"offers": "all", "default_offer": "default", "select": {"policy": "epsilon_greedy", "epsilon": 0.1}}},
    }
    bundle = load(document)
    usual = guarded(bundle, 7)
    assert len(np.unique(usual.reason)) > 4
    count = len(Chain(bundle).guardrails)
    for order in [(i, *(k for k in range(count) if k != i)) for i in range(count)] + [tuple(reversed(range(count)))]:
        other = guarded(bundle, 7, order)
        assert np.array_equal(usual.allowed, other.allowed)
        assert np.array_equal(usual.default_allowed, other.default_allowed)
