"""A fortnight of the demo's shop in a real log: its people walk through the real pipeline, with experiments, ablations and two bundles.

    python -m tests.report.shop_world DIR [PEOPLE]     # writes DIR/log and DIR/hypotheses

What is planted: what offers do (`liftgate.demo.truth`), that the arm `bold` sells a good deal more, and that in the second week, when
another bundle decides, most people come by telephone.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import numpy as np

from liftgate.adapters.bundle_archive import keep
from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.memory_stores import MemoryProfileStore, MemoryReservations
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.app.cases.world import Hands, NoObserver
from liftgate.bundle.load import load_bundle
from liftgate.demo.people import people, person_id
from liftgate.demo.shop import BUNDLE, MODELS
from liftgate.demo.store import stored
from liftgate.demo.truth import Truth
from liftgate.demo.visits import visits
from liftgate.domain.batch import Batch
from liftgate.domain.bucketing import Salt
from liftgate.domain.profile import pack
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.decide import decide
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Ports, Walk
from liftgate.record.event_codec import encode_event
from liftgate.record.parquet import seal_to_parquet
from liftgate.selection.layers import Layers
from liftgate.v1.event_service_pb2 import EventKind

START_MS, DAY_MS, HOUR_MS = 1_781_524_800_000, 86_400_000, 3_600_000
DAYS, CHANGED_ON = 14, 7
BOLD = 0.10
"""What the arm `bold` adds to P(buy) of who saw an offer."""
LAYERS = """
layers:
  universal-2026h2: {kind: holdout, salt: w-universal, share: 0.15, answer: none, owner: growth, metric: purchase, n_star: 4000}
  hero-ranking:
    kind: experiment
    salt: w-hero
    owner: ana
    hypothesis: bold-hero
    metric: purchase
    n_star: 2500
    arms: {control: 0.34, bold: 0.33, quiet: 0.33}
  parts:
    kind: ablation
    salt: w-parts
    n_star: 6000
    arms: {random_allowed: 0.15, random_propensity: 0.15, propensity_only: 0.15, no_levers: 0.15, eligibility_only: 0.15}
"""
HYPOTHESES = {
    "bold-hero": "what: Show the hero in bold colours\nwhy: Half of the visitors never look at it\nexpected_lift: 0.2\nmetric: purchase\n"
    "owner: ana\nice: {impact: 8, confidence: 5, ease: 7}\npie: {potential: 7, importance: 9, ease: 7}\nexperiment_id: hero-ranking\n"
    "n_star: 2500\n",
    "free-returns": "what: Say that returns are free\nwhy: Returns are the first question of every second caller\nexpected_lift: 0.05\n"
    "metric: purchase\nowner: ben\nice: {impact: 6, confidence: 6, ease: 9}\n",
    "club-first": "what: Put the club before discounts\nwhy: Members come back\nexpected_lift: 0.08\nmetric: purchase\nowner: ana\n"
    "ice: {impact: 7, confidence: 4, ease: 5}\nexperiment_id: club-2026q1\nn_star: 30000\n"
    "measured: {lift: 0.021, ci_low: 0.004, ci_high: 0.039, on: '2026-04-02'}\n",
}
_DIE = Salt("shop-world")


def _die(*what: object) -> float:
    return _DIE.uniform("/".join(map(str, what)))


def _bundle(folder: Path, second: bool) -> Path:
    """Write the demo's bundle with more layers; the second one values free shipping otherwise."""
    shutil.copytree(BUNDLE, folder, ignore=shutil.ignore_patterns("tests"))
    shop, offers = folder / "shop.yaml", folder / "offers.yaml"
    shop.write_text(shop.read_text(encoding="utf-8").partition("\nlayers:")[0] + LAYERS, encoding="utf-8")
    text = offers.read_text(encoding="utf-8").replace(
        "    value: 10.00\n", "    value: 10.00\n    levers: [{name: push, percent: 15}]\n", 1
    )
    offers.write_text(text.replace("value: 9.00\n", "value: 8.40\n", 1) if second else text, encoding="utf-8")
    return folder


class World:
    """The shop, one worker, and what comes of it."""

    def __init__(self, folder: Path, count: int, seed: int = 7) -> None:
        """`count`: people."""
        self.folder, self._count = folder, count
        self._people = people(count, seed)
        self._truth = Truth(self._people, seed)
        self._visits = visits(self._people, int(1.3 * count), seed)
        self._store, self._hands = MemoryProfileStore(), Hands(START_MS)
        reservations = MemoryReservations(self._store.history, accounts=self._store.accounts, totals=self._store.totals)
        self._pseudonym = Pseudonyms("world", b"k" * 32)
        log = folder / "log"
        self._logs = SegmentLog(log, "decision", "write"), SegmentLog(log, "event", "write")
        ports = self._store, reservations, self._logs[0], GrpcAnswers(), NoObserver(), self._hands, self._hands, self._pseudonym, "world"
        self._ports = Ports(*ports)
        self._events: list[bytes] = []
        self._seen: dict[int, list[tuple[int, str]]] = {}

    async def walk(self) -> Path:
        """Write the log and return its folder."""
        for log in self._logs:
            log.open()
        lives = []
        for second in (False, True):
            bundle = load_bundle(_bundle(self.folder / f"bundle-{'ab'[second]}", second), MODELS)
            keep(bundle, self.folder / "log")
            lives.append(Live(bundle, OnnxModels.load(bundle)))
        for day in range(DAYS):
            await self._day(day, lives[day >= CHANGED_ON])
        await self._outcomes()
        for log in self._logs:
            await log.close()
        for segment in sorted((self.folder / "log").glob("*.seg")):
            if not segment.with_suffix(".parquet").exists():
                seal_to_parquet(segment)
            segment.unlink()
        return self.folder / "log"

    async def _day(self, day: int, live: Live) -> None:
        start = START_MS + day * DAY_MS
        self._hands.ms = start + 8 * HOUR_MS
        for one in stored(self._people, live.bundle.schema, start):
            assert one.values is not None
            assert one.at_s is not None
            self._store.packed[one.person_id] = pack(live.bundle.schema, one.values, one.at_s)
            if one.consent is not None:
                self._store.consent[one.person_id] = one.consent
        hero = next(one for one in Layers(live.bundle.layers).each if one.layer.name == "hero-ranking")
        mine = self._visits[day * len(self._visits) // DAYS : (day + 1) * len(self._visits) // DAYS]
        for at in range(0, len(mine), 400):
            some = mine[at : at + 400]
            moments = np.array([start + (at + i) * 12 * HOUR_MS // len(mine) for i in range(len(some))], dtype=np.int64)
            requests = [
                DecideRequest(
                    f"{day}-{visit.request_id}", visit.person_id, visit.placement, 1, _context(visit.context, day, visit.request_id),
                    gpc=visit.gpc, idempotent=False,
                )
                for visit in some
            ]  # fmt: skip
            walk = Walk(Batch(requests, moments), live, self._ports)
            await decide(walk)
            for visit, decision, moment in zip(some, walk.decisions, moments.tolist(), strict=True):
                name = visit.person_id
                first = visit.person not in self._seen
                seen = self._seen.setdefault(visit.person, [(moment, hero.layer.arms[hero.arm(name)].name)])
                if first and _die("looks", name) < 0.12:
                    self._event("cart_action", name, moment + HOUR_MS)
                if not decision.offered or not self._truth.sees(visit.request_id):
                    continue
                offer = live.bundle.offers[decision.offered[0]].offer_id
                seen.append((moment, offer))
                self._event("exposure", name, moment + 2_000, decision=decision.decision_id)
                if _die("click", visit.request_id) < 0.3:
                    self._event("click", name, moment + 9_000, decision=decision.decision_id)
                    if _die("cart", visit.request_id) < 0.5:
                        self._event("cart_action", name, moment + 60_000)

    async def _outcomes(self) -> None:
        for person, ((first, arm), *seen) in self._seen.items():
            name = person_id(person)
            chance = self._truth.probability(person, [offer for _, offer in seen]) + (BOLD if arm == "bold" and seen else 0.0)
            if _die("buy", name) >= chance:
                continue
            after = first + int((0.2 + 2.5 * _die("when", name)) * DAY_MS)
            worth = round(float(self._people.traits["avg_basket"][person]) * (0.6 + 0.8 * _die("worth", name)), 2)
            self._event("purchase", name, after, worth)
            if _die("again", name) < 0.22:
                self._event("purchase", name, after + DAY_MS, round(worth * 0.8, 2))
        await self._logs[1].append(self._events)

    def _event(self, kind: str, name: str, at_ms: int, value: float | None = None, decision: str = "") -> None:
        self._events.append(
            encode_event(
                pseudonym_key_id="world",
                event_id=str(len(self._events)),
                kind=EventKind.Value(f"EVENT_KIND_{kind.upper()}"),
                person_pseudonym=self._pseudonym(name),
                occurred_at_ms=at_ms,
                received_at_ms=at_ms,
                value=value,
                currency="" if value is None else "EUR",
                decision_id=decision,
            )
        )


def _context(usual: Context, day: int, visit: str) -> Context:
    device = "mobile" if day >= CHANGED_ON and _die("phone", visit) < 0.7 else usual.device
    return Context(channel=usual.channel, device=device, locale=usual.locale, time_zone=usual.time_zone, attributes=usual.attributes)


def write_world(folder: Path, count: int = 3_000) -> Path:
    """Write `log` and `hypotheses` into a folder, and return the log's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hypotheses").mkdir()
    for name, text in HYPOTHESES.items():
        (folder / "hypotheses" / f"{name}.yaml").write_text(f"id: {name}\n{text}", encoding="utf-8")
    return asyncio.run(World(folder, count).walk())


if __name__ == "__main__":
    print(write_world(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12_000))
