"""Expected worth, thresholds and tiers of generated bundles, against a scalar reference that reads the same words one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.live import Live
from liftgate.pipeline.worth import expected, left_out, response, weigh

MODELS = Path(__file__).parents[1] / "cases" / "bundles" / "worth" / "models"
NOW_MS = 1_781_524_800_000
TIMES = ("2026-06-14T12:00:00Z", "2026-06-15T12:00:00Z", "2026-06-16T12:00:00Z")
TIMES_MS = dict(zip(TIMES, (NOW_MS - 86_400_000, NOW_MS, NOW_MS + 86_400_000), strict=True))
Person = dict[str, float | None]
CONDITIONS: dict[str, Callable[[Person, str], bool | None]] = {
    "profile.age >= 40": lambda p, _: None if p["age"] is None else p["age"] >= 40,
    "context.basket > 50.0": lambda p, _: None if p["basket"] is None else p["basket"] > 50.0,
    "context.basket>50.0": lambda p, _: None if p["basket"] is None else p["basket"] > 50.0,
    'offer.id == "a" && profile.age < 30': lambda p, o: False if o != "a" else None if p["age"] is None else p["age"] < 30,
    "!has(context.basket)": lambda p, _: p["basket"] is None,
    "profile.age < 20 || context.basket < 10.0": lambda p, _: _either(
        None if p["age"] is None else p["age"] < 20, None if p["basket"] is None else p["basket"] < 10.0
    ),
}
"""CEL to what it means, unknown being None."""
SELECT = {"policy": "epsilon_greedy", "epsilon": 0.5}
HEAD: dict[str, Any] = {
    "bundle": "generated",
    "currency": "EUR",
    "time_zone": "UTC",
    "profile_purpose": "none",
    "features": {"age": {"type": "int"}, "spend": {"type": "float"}},
    "context": {"basket": {"type": "float"}},
    "models": {name: {"version": 1, "outcome": "purchase", "horizon": "7d"} for name in ("buys", "buys_anyway")},
}


def _either(one: bool | None, other: bool | None) -> bool | None:
    return True if one or other else None if one is None or other is None else False


def levers(names: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Draw some levers with names that begin so; cuts are too small to take everything off together."""
    much = st.one_of(
        st.fixed_dictionaries({"percent": st.sampled_from([-15.0, 7, 33.3, 150])}),
        st.fixed_dictionaries({"factor": st.sampled_from([0.9, 1.1, 2.7])}),
    )
    when = st.sampled_from([{}, {"from": TIMES[0]}, {"from": TIMES[1]}, {"until": TIMES[1]}, {"from": TIMES[0], "until": TIMES[2]}])
    given_if = st.sampled_from([{}, *({"if": text} for text in sorted(CONDITIONS))])
    one = st.tuples(much, when, given_if).map(lambda parts: parts[0] | parts[1] | parts[2])
    return st.lists(one, max_size=3).map(lambda found: [{"name": f"{names}-{i}"} | lever for i, lever in enumerate(found)])


WEIGHTS = st.lists(
    st.fixed_dictionaries({"if": st.sampled_from(sorted(CONDITIONS)), "weight": st.sampled_from([0.25, 1.5, 3.1])}), max_size=3
)
SMOOTHING = st.fixed_dictionaries({"prior": st.sampled_from([0.02, 0.4]), "weight": st.sampled_from([10.0, 200.0])})


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a bundle of one to five offers in up to two groups, with any of the keys of worth."""
    groups: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(["g", "h"]), unique=True, max_size=2)):
        groups[name] = {"levers": draw(levers(name)), "context_weight": draw(WEIGHTS), "tier": draw(st.sampled_from([None, 2, 5]))}
        groups[name]["smoothing"] = draw(st.one_of(st.none(), SMOOTHING))
    offers: dict[str, Any] = {}
    for name in ("a", "b", "c", "d", "e")[: draw(st.integers(1, 5))]:
        group = draw(st.sampled_from([None, *groups]))
        offer: dict[str, Any] = {
            "group": group,
            "value": draw(st.sampled_from([0.5, 1.0, 3.3])),
            "tier": draw(st.sampled_from([None, 1, 7])),
        }
        offer |= {"levers": draw(levers(f"own-{name}")), "context_weight": draw(WEIGHTS)}
        smooth = draw(st.booleans()) or (group is not None and groups[group]["smoothing"] is not None)
        if smooth:
            offer |= {"propensity": "buys", "smoothing": draw(SMOOTHING)}
            offer["evidence"] = draw(
                st.sampled_from([None, {"positives": 3}, {"positives": 3, "trials": 900}, {"positives": 90, "trials": 900}])
            )
        elif draw(st.booleans()):
            pair = {"treated": "buys", "untreated": "buys_anyway"}
            offer["uplift"] = pair | {"allow_negative": draw(st.booleans())}
        offers[name] = offer
    placement = {"offers": "all", "select": SELECT}
    placement |= {key: draw(st.sampled_from([None, least])) for key, least in (("minimum_propensity", 0.1), ("minimum_value", 0.6))}
    document: dict[str, Any] = _written(HEAD | {"groups": groups, "offers": offers, "placements": {"home": placement}})
    return document


def _written(value: Any) -> Any:
    """Return a document without its empty values."""
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items() if item is not None and item != []}
    return [_written(item) for item in value] if isinstance(value, list) else value


def backwards(document: dict[str, Any]) -> dict[str, Any]:
    """Return the same document with every list and mapping of groups and offers in the opposite order."""
    turned = dict(reversed(document.items()))
    for section in ("groups", "offers"):
        turned[section] = {
            name: {key: item[::-1] if isinstance(item, list) else item for key, item in reversed(entry.items())}
            for name, entry in reversed(document.get(section, {}).items())
        }
    return turned


def load(document: dict[str, Any]) -> Bundle:
    """Compile a document."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "bundle.yaml").write_text(json.dumps(document), encoding="utf-8")
        return load_bundle(Path(folder), MODELS)


PEOPLE = st.lists(
    st.fixed_dictionaries({"age": st.sampled_from([None, 18, 25, 40]), "basket": st.sampled_from([None, 5.0, 50.0, 60.0])}),
    min_size=1,
    max_size=6,
)


def weighed(bundle: Bundle, people: list[Person], seed: int) -> tuple[Batch, Live, Any]:
    """Return a batch of people with some propensities, its factors filled in."""
    live = Live(bundle, cast(Any, None))
    batch = Batch([DecideRequest("r", "p", "home") for _ in people], np.full(len(people), NOW_MS, dtype=np.int64))
    batch.placement = batch.variant = np.zeros(len(people), dtype=np.intp)
    names = [column.name.split(".")[1] for column in bundle.schema.inputs]
    batch.inputs = np.array([[np.nan if p.get(name) is None else p[name] for name in names] for p in people], dtype=np.float64)
    dice = np.random.default_rng(seed)
    propensity = np.where(bundle.offer_model >= 0, dice.random((len(people), len(bundle.offers))), 1.0)
    untreated = None
    if bundle.worth.untreated is not None:
        untreated = np.where(bundle.worth.untreated.model >= 0, dice.random(propensity.shape), 0.0)
    weigh(batch, bundle.worth, propensity, untreated)
    return batch, live, propensity


def reference(document: dict[str, Any], offer: str, person: Person, propensity: float, untreated: float) -> tuple[float, float]:
    """Return (response, expected worth) of one offer for one person, worked out in words."""
    entry = document["offers"][offer]
    rules = [*([document["groups"].get(entry["group"], {})] if "group" in entry else []), entry]
    answer = propensity - untreated if "uplift" in entry else propensity
    smoothing = entry.get("smoothing") or next((rule["smoothing"] for rule in rules if "smoothing" in rule), None)
    if smoothing and "propensity" in entry:
        seen = entry.get("evidence") or {"positives": 50, "trials": 1000}
        evidence = max(seen["positives"], smoothing["prior"] * seen.get("trials", 0))
        share = evidence / (evidence + smoothing["weight"])
        answer = share * propensity + (1 - share) * smoothing["prior"]
    worth = answer * entry["value"]
    for rule in rules:
        for weight in rule.get("context_weight", ()):
            if CONDITIONS[weight["if"]](person, offer):
                worth *= weight["weight"]
        for lever in rule.get("levers", ()):
            live = TIMES_MS.get(lever.get("from", ""), -inf) <= NOW_MS < TIMES_MS.get(lever.get("until", ""), inf)
            if live and ("if" not in lever or CONDITIONS[lever["if"]](person, offer)):
                worth *= lever["factor"] if "factor" in lever else 1 + lever["percent"] / 100
    return answer, worth


@given(documents(), PEOPLE, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_worth_is_what_the_words_say(document: dict[str, Any], people: list[Person], seed: int) -> None:
    """Response and expected worth of every person and offer equal a scalar reference, and everything that was logged multiplies to them."""
    bundle = load(document)
    batch, live, propensity = weighed(bundle, people, seed)
    answers, worth = response(batch, propensity), expected(batch, live, propensity)
    for n, person in enumerate(people):
        for k, offer in enumerate(bundle.offers):
            second = 0.0 if batch.untreated is None else float(batch.untreated[n, k])
            answer, wanted = reference(document, offer.offer_id, person, float(propensity[n, k]), second)
            assert isclose(answers[n, k], answer, rel_tol=1e-12, abs_tol=1e-15)
            assert isclose(worth[n, k], wanted, rel_tol=1e-12, abs_tol=1e-15)
    for factor in (batch.lever, batch.context_weight):
        assert factor is None or (factor > 0).all()


@given(documents(), PEOPLE, st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_the_order_in_which_factors_are_written_changes_no_bit(document: dict[str, Any], people: list[Person], seed: int) -> None:
    """A bundle written backwards has the same digest, and every factor and worth to the last bit."""
    one, other = load(document), load(backwards(document))
    assert one.digest == other.digest
    (batch, live, propensity), (turned, _, _) = weighed(one, people, seed), weighed(other, people, seed)
    assert (expected(batch, live, propensity) == expected(turned, live, propensity)).all()
    for mine, theirs in ((batch.lever, turned.lever), (batch.context_weight, turned.context_weight), (batch.smoothed, turned.smoothed)):
        assert (mine is None) == (theirs is None)
        assert mine is None or theirs is None or (mine == theirs).all()


@given(documents(), PEOPLE, st.integers(0, 2**32), st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_left_out_is_what_the_words_say(document: dict[str, Any], people: list[Person], seed: int, data: st.DataObject) -> None:
    """An allowed offer is out exactly if it is below a minimum or does not help, or if another that is not stands in a higher tier."""
    bundle = load(document)
    batch, live, propensity = weighed(bundle, people, seed)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=propensity.size, max_size=propensity.size))).reshape(propensity.shape)
    worth = expected(batch, live, propensity)
    found = left_out(batch, live, propensity, worth, allowed) if live.narrows else np.zeros(allowed.shape, dtype=np.uint8)
    place, answers = document["placements"]["home"], response(batch, propensity)
    names = [offer.offer_id for offer in bundle.offers]
    entries = [document["offers"][name] for name in names]
    tiers = [e.get("tier") or document["groups"].get(e.get("group", ""), {}).get("tier") or 5 for e in entries]
    for n in range(len(people)):
        low = [
            answers[n, k] < place.get("minimum_propensity", -inf)
            or worth[n, k] < place.get("minimum_value", -inf)
            or ("uplift" in entry and not entry["uplift"]["allow_negative"] and answers[n, k] <= 0)
            for k, entry in enumerate(entries)
        ]
        first = min((tiers[k] for k in range(len(names)) if allowed[n, k] and not low[k]), default=0)
        for k in range(len(names)):
            wanted = 0 if not allowed[n, k] else Reason.BELOW_THRESHOLD if low[k] else Reason.LOWER_TIER if tiers[k] > first else 0
            assert found[n, k] == wanted


def test_a_bundle_without_any_of_it_has_no_columns() -> None:
    """Without levers, weights, uplift, smoothing, tiers and minima there is nothing to compute and nothing to log."""
    bundle = load(HEAD | {"offers": {"a": {"value": 1.0}}, "placements": {"home": {"offers": "all", "select": SELECT}}})
    batch, live, _ = weighed(bundle, [{"age": 20, "basket": None}], 1)
    assert not live.narrows
    assert (batch.lever, batch.context_weight, batch.untreated, batch.smoothed, batch.not_shown) == (None,) * 5
    assert bundle.worth.conditions == ()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_just_reaches_a_minimum_is_shown(share: float) -> None:
    """A minimum is the least that is shown."""
    place = {"offers": "all", "select": SELECT, "minimum_value": 2.0}
    bundle = load(HEAD | {"offers": {"a": {"value": 1.0 + share}}, "placements": {"home": place}})
    batch, live, propensity = weighed(bundle, [{"age": 20, "basket": None}], 1)
    out = left_out(batch, live, propensity, expected(batch, live, propensity), np.ones((1, 1), dtype=np.bool_))
    assert bool(out[0, 0] == 0) is (share == 1.0)
