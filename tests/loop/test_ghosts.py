"""Caps and holdouts over several days: nothing has any effect, and nothing reads as one, because withheld offers count as ghosts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from liftgate.adapters.memory_contacts import MemoryContactEvents
from liftgate.domain.decision import Decision
from liftgate.measure.experiment import Asked
from liftgate.measure.lift import measure_lift
from liftgate.pipeline.contact_ports import ContactEvent
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.event_ports import EventKey
from tests.loop.ledger import FULL, RUNS
from tests.loop.parts import walked
from tests.loop.reading import Found, Table, by_run, check_weights, long, question, slow, table, together
from tests.loop.shop import DAY_MS, START_MS, NoGhosts, Shop
from tests.loop.truth import HEAD, People, people

pytestmark = [slow, long]
PEOPLE, DAYS, VISITS, HOUR_MS = 300, 4, 2, 3_600_000
BROKEN, BY = (200, -3) if FULL else (40, -2)
"""Runs of the control, and by how many standard errors they must be off together."""
SHIP = ("ship-a", "ship-b")
BUNDLE = (
    HEAD
    + """
groups:
  ship: {caps: [{max: 2, per: 3d}]}
offers:
  ship-a: {group: ship, value: 9.0, caps: [{max: 1, per: day}]}
  ship-b: {group: ship, value: 8.0, caps: [{max: 1, per: 3d, counts: exposure, lease: 30m}]}
  gift: {value: 7.0, caps: [{max: 1, per: 3d, counts: exposure, lease: 30m}]}
  card: {value: 6.0, caps: [{max: 1, per: 3d}]}
exclusions:
  pay: {offers: [ship-b, card], within: 1d}
placements:
  hero: {offers: [ship-a, ship-b, gift, card], slots: 2, select: {policy: epsilon_greedy, epsilon: 0.3}}
layers:
  universal: {kind: holdout, salt: ghosts-universal, share: 0.4, answer: none}
  no-ship: {kind: holdout, groups: [ship], salt: ghosts-ship, share: 0.5, answer: none}
"""
)
ASKED = {"universal": Asked(layer="universal", window_ms=DAY_MS), "no-ship": Asked(layer="no-ship", window_ms=DAY_MS, offers=SHIP)}


@dataclass(frozen=True)
class Days:
    """A log for each day, and what became of the same people in both worlds."""

    logs: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> Days:
        """Return the days whose logs are in this folder."""
        return cls(tuple(folder / f"day-{day}" for day in range(DAYS)))

    def table(self, layer: str, day: int, target: Path) -> Table:
        """Give one day's people, with whether something would have been shown to them on that day."""
        name = target / f"{layer}-{day}.parquet"
        asked = ASKED[layer]
        return table(
            self.logs[day],
            Asked(asked.layer, asked.window_ms, offers=asked.offers, read_at_ms=START_MS + (DAYS + 2) * DAY_MS),
            name,
        )


async def walk(folder: Path, runs: range, *, ghosts: bool = True, days: int = DAYS) -> None:
    """Walk everybody through the days; keen people come more often, and buy more often, whatever they are shown."""
    shop = Shop(folder / "day-0", BUNDLE, runs.start, {} if ghosts else NoGhosts())
    contacts = MemoryContactEvents(shop.store.history, shop.store.accounts, shop.store.totals)
    counting = Counting(shop.live)
    everybody = [(run, people(run, PEOPLE, START_MS, "ghosts")) for run in runs]
    for day in range(days):
        if day:
            shop.open(folder / f"day-{day}")
        for run, some in everybody:
            await _day(shop, some, run, day, counting, contacts)
        await shop.close()


async def walk_forgetful(folder: Path, runs: range) -> None:
    """Walk them to the day that is read, where nothing is counted for who is held out."""
    await walk(folder, runs, ghosts=False, days=3)


async def _day(shop: Shop, some: People, run: int, day: int, counting: Counting, contacts: MemoryContactEvents) -> None:
    visits = some.dice.binomial(VISITS, 0.1 + 0.9 * some.keen**2)
    bought = some.dice.random(PEOPLE) < 0.12 + 0.88 * some.keen**4
    seen = some.dice.random((VISITS, PEOPLE, 2)) < 0.7
    for visit in range(VISITS):
        here = np.flatnonzero(visits > visit)
        at = START_MS + day * DAY_MS + visit * 5 * HOUR_MS + run
        walks = await shop.decide(f"d{day}v{visit}", [some.names[i] for i in here], ["rich"] * len(here), np.full(len(here), at), 2)
        decisions = [one for each in walks for one in each.decisions]
        told = []
        for i, one in zip(here.tolist(), decisions, strict=True):
            told += _seen(shop, some.names[i], one, seen[visit, i], at + 1_000, counting)
        await contacts.count(told)
    at = START_MS + day * DAY_MS + 20 * HOUR_MS + run
    await shop.happened.append([shop.event("purchase", some.names[i], at) for i in np.flatnonzero(bought & (visits > 0))])


def _seen(shop: Shop, person: str, one: Decision, seen: np.ndarray, at: int, counting: Counting) -> list[ContactEvent]:
    """Return the exposures of an answer, and of what is withheld that it would have been seen."""
    events = (
        counting.event(
            "exposure",
            EventKey(person, f"{one.decision_id}-{k}"),
            decision_id=one.decision_id,
            offer_id=shop.live.bundle.offers[k].offer_id,
            account_id="",
            channel="",
            time_zone="",
            occurred_at_ms=at,
            now_ms=at,
        )
        for k, was in zip(one.chosen, seen.tolist(), strict=False)
        if was
    )
    return [event for event in events if event is not None]


@pytest.fixture(scope="module")
def days(shared: Path) -> Days:
    """Give the days as the service keeps them."""
    made = Days.of(walked("holdouts under caps", walk, shared / "ghosts", RUNS))
    for day, log in enumerate(made.logs):
        check_weights(log, f"caps, day {day + 1}")
    return made


@pytest.mark.parametrize("layer", ["universal", "no-ship"])
def test_no_effect_reads_as_none_on_every_day(days: Days, tmp_path: Path, layer: str) -> None:
    """Triggered, under caps that bite: intervals hold 0 on every day and after day 2 as often as they promise; arms trigger alike."""
    parts: dict[str, list[Found]] = {"triggered": [], "ITT": []}
    for day in range(DAYS):
        rows = days.table(layer, day, tmp_path)
        report = measure_lift(question(rows, "purchase:binary", triggered="triggered"))
        (whole,) = (one for one in report["results"] if one["analysis"] == "triggered")
        assert whole["refusal"] is None
        # Caps bite: on the third day many have nothing left.
        assert whole["trigger_rate"] < (0.95 if day == 2 else 1.01)
        for name, part in (("triggered", rows.where(pc.field("triggered") == 1, "triggered")), ("ITT", rows)):
            parts[name].append(by_run(part, "purchase:binary"))
            parts[name][-1].covers("holdouts under caps", f"{layer}, {name}, day {day + 1}", 0.0)
    for name, found in parts.items():
        together(found[2:]).covers("holdouts under caps", f"{layer}, {name}, after day 2", 0.0)


@pytest.fixture(scope="module")
def forgetful(shared: Path) -> Days:
    """Give the days of a service that counts nothing for who is held out."""
    return Days.of(walked("holdouts under caps, forgotten", walk_forgetful, shared / "forgetful", BROKEN))


@pytest.mark.parametrize("layer", ["universal", "no-ship"])
def test_without_ghosts_an_effect_appears(forgetful: Days, tmp_path: Path, layer: str) -> None:
    """The control: with held-out people's counters not kept, the keen are capped in one arm alone, and on day 3 nothing reads as harm."""
    rows = forgetful.table(layer, 2, tmp_path)
    triggered = rows.where(pc.field("triggered") == 1, "triggered")
    wrong = by_run(triggered, "purchase:binary", shares=("unknown",))
    wrong.misses("holdouts under caps", f"{layer}, triggered, day 3, withheld offers not counted", 0.0, BY)
    report = measure_lift(question(rows, "purchase:binary", triggered="triggered"))
    (whole,) = (one for one in report["results"] if one["analysis"] == "triggered")
    assert whole["refusal"]["code"] == "trigger_differs_by_arm"
