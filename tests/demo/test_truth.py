"""The planted truth, and the plain lift that must find it."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.demo.lift import Group, lift, percentile, share_fits
from liftgate.demo.people import PERSONALIZATION, people
from liftgate.demo.truth import EFFECTS, SEEN, Truth
from liftgate.demo.visits import PLACEMENTS, visits

RUNS = 400


def test_same_seed_same_world() -> None:
    """People, visits and throws are functions of the seed, and another seed gives other people."""
    one, again, other = people(500, 3), people(500, 3), people(500, 4)
    assert all(np.array_equal(one.traits[name], again.traits[name]) for name in one.traits)
    assert visits(one, 700, 3) == visits(again, 700, 3)
    assert not np.array_equal(one.traits["avg_basket"], other.traits["avg_basket"])
    assert [Truth(one, 3).buys(i, ()) for i in range(500)] == [Truth(again, 3).buys(i, ()) for i in range(500)]


def test_shares_are_as_declared() -> None:
    """Consent statuses and what is seen occur as often as the tables say."""
    shoppers = people(20_000, 7)
    found = np.bincount(shoppers.consent, minlength=len(PERSONALIZATION)) / len(shoppers)
    assert found == pytest.approx(list(PERSONALIZATION.values()), abs=0.012)
    world = Truth(people(1, 7), 7)
    seen = np.mean([world.sees(f"visit-{i}") for i in range(20_000)])
    assert seen == pytest.approx(SEEN, abs=0.01)


def test_everyone_comes_once_before_anyone_comes_twice() -> None:
    """With more visits than people each person comes, and every placement is visited."""
    shoppers = people(1_000, 5)
    calls = visits(shoppers, 1_500, 5)
    assert {call.person for call in calls[:1_000]} == set(range(1_000))
    assert len(calls) == 1_500
    assert len({call.request_id for call in calls}) == 1_500
    assert {call.placement for call in calls} == set(PLACEMENTS)


def test_throws_meet_the_planted_probabilities() -> None:
    """Over many seeds each person buys as often as the truth says, untouched and after seeing offers."""
    shoppers = people(60, 11)
    seen = ("free-shipping", "gift-card")
    untouched, treated = np.zeros(60), np.zeros(60)
    for seed in range(RUNS):
        world = Truth(shoppers, seed)
        untouched += [world.buys(i, ()) for i in range(60)]
        treated += [world.buys(i, seen) for i in range(60)]
    world = Truth(shoppers, 0)
    planted = np.array([world.probability(i, seen) for i in range(60)])
    for count, p in ((untouched, world.untouched), (treated, planted)):
        z = (count / RUNS - p) / np.sqrt(p * (1 - p) / RUNS)
        assert np.abs(z).max() < 4.5
        assert abs(z.mean()) < 4.5 / np.sqrt(60)


def test_several_offers_count_as_the_strongest() -> None:
    """Whoever has seen several offers buys as likely as under the strongest of them."""
    world = Truth(people(50, 2), 2)
    for person in range(50):
        alone = [world.probability(person, (offer,)) for offer in EFFECTS]
        assert world.probability(person, tuple(EFFECTS)) == max(alone)


def test_offers_help_on_average() -> None:
    """Every offer raises the mean probability of buying."""
    world = Truth(people(5_000, 2), 2)
    assert ((world.seen - world.untouched[:, None]).mean(axis=0) > 0).all()


def test_interval_covers_the_planted_lift() -> None:
    """Over many random assignments the 95 % interval holds the planted lift about as often as it says; a wrong truth it does not."""
    n, shown = 4_000, "birthday-gift"
    world = Truth(people(n, 1), 1)
    treated, untouched = world.seen[:, world.index[shown]], world.untouched
    planted = world.lift(dict.fromkeys(range(n), (shown,)))
    truth = planted[0] - planted[1]
    assert truth == pytest.approx(float((treated - untouched).mean()))
    throw = np.random.default_rng(9)
    covered = wrong = 0
    for _ in range(RUNS):
        held = throw.random(n) < 0.2
        bought = throw.random(n) < np.where(held, untouched, treated)
        found = lift(Group(int((~held).sum()), int(bought[~held].sum())), Group(int(held.sum()), int(bought[held].sum())))
        covered += found.low <= truth <= found.high
        wrong += found.low <= 0.0 <= found.high
    assert 0.92 <= covered / RUNS <= 0.985
    assert wrong / RUNS < 0.2


def test_lift_by_hand() -> None:
    """Difference, interval and ratio are those worked out by hand."""
    found = lift(Group(1_001, 91), Group(501, 30))
    p, q = 91 / 1_001, 30 / 501
    margin = 1.959963984540054 * (p * (1 - p) / 1_000 + q * (1 - q) / 500) ** 0.5
    assert (found.difference, found.low, found.high) == pytest.approx((p - q, p - q - margin, p - q + margin))
    assert found.relative == pytest.approx(p / q - 1)


@pytest.mark.parametrize("group", [Group(99, 50), Group(1_000, 4), Group(1_000, 996)])
def test_too_few_is_refused(group: Group) -> None:
    """Too few people, buyers or non-buyers in either arm give no interval at all."""
    enough = Group(1_000, 100)
    with pytest.raises(ValueError, match="too few"):
        lift(group, enough)
    with pytest.raises(ValueError, match="too few"):
        lift(enough, group)


def test_share_and_percentile() -> None:
    """A holdout of the declared size fits, one that lost people does not; percentiles are nearest ranks."""
    assert share_fits(2_003, 20_000, 0.1)
    assert not share_fits(1_800, 20_000, 0.1)
    assert [percentile(range(100), p) for p in (0.0, 0.5, 0.99, 1.0)] == [0, 50, 99, 99]
    assert np.isnan(percentile([], 0.5))
