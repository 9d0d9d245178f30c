"""A small shop's log with everything that a report can show: a holdout, an ablation, a layer of sessions, two bundles, explored offers."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from liftgate.record.frame import Stream
from liftgate.v1.reason_pb2 import Branch
from liftgate.v1.record_pb2 import DecisionRecord, LayerAssignment, SlotProbabilities
from tests.measure.log_files import HOUR_MS, START_MS, decided, happened, write

PEOPLE = 2_400
OFFERS = ("bags", "hats", "shoes")
_EXPLORED = 0.3
DAY_MS = 24 * HOUR_MS


def coin(person: int, what: str) -> float:
    """Return a number of 0 to 1 that is the person's own for this purpose."""
    return int.from_bytes(sha256(f"{what}:{person}".encode()).digest()[:6]) / 2**48


def write_shop(
    log: Path, *, effect: float = 0.15, gap: bool = False, versions: int = 1, people: int = PEOPLE, held: tuple[float, float] = (0.2, 0.2)
) -> None:
    """Write the log: held-out people buy with 0.2; treated people with 0.2 + effect, those of the ablation with 0.2.

    `held`: the shares held out in the first and the second half of the time.
    """
    decisions, events, number = [], [], 0
    for person in range(people):
        away = held[2 * person // people]
        out, random = coin(person, "arm") < away, coin(person, "ablation") < 0.5
        at = START_MS + round(10 * DAY_MS * person / people)
        arm = "holdout" if out else "treatment"
        explored = random or coin(person, "explore") < _EXPLORED
        chosen = OFFERS[int(3 * coin(person, "offer"))] if explored else "shoes"
        record = DecisionRecord.FromString(decided(person, person, arm, at, shown=(chosen,), version="ab"[person * versions // people]))
        record.placement_id = ("home", "cart")[int(2 * coin(person, "place"))]
        chance = 0.2 + (0.0 if out or random else effect)
        _draw(record, chosen, chance, explored, 1.0 if random else _EXPLORED)
        record.ClearField("assignments")
        for name, one, share, unit in (
            ("universal", arm, away if out else 1 - away, "person"),
            ("parts", "random_allowed" if random else "treatment", 0.5, "person"),
            ("visits", "control" if coin(person, "visit") < 0.5 else "calm", 0.5, "session"),
        ):
            record.assignments.append(LayerAssignment(layer=name, arm=one, phase=1, share=share, unit=unit))
        decisions.append(record.SerializeToString())
        done: list[tuple[str, float | None]] = [] if out else [("exposure", None)]
        done += [("click", None)] if not out and coin(person, "click") < 0.6 else []
        done += [("purchase", 10.0 + 20.0 * coin(person, "spend"))] if coin(person, "buy") < chance else []
        for kind, value in done:
            number += 1
            events.append(happened(number, person, kind, at + HOUR_MS, value, None if out else person))
    if gap:
        write(log, Stream.DECISION, decisions[:100])
        write(log, Stream.DECISION, decisions[150:], first=150)
    else:
        write(log, Stream.DECISION, decisions)
    write(log, Stream.EVENT, events, writer=2)


def _draw(record: DecisionRecord, chosen: str, chance: float, explored: bool, share: float) -> None:
    record.slot_count, record.scored = 1, True
    record.branch = Branch.BRANCH_EXPLORE if explored else Branch.BRANCH_EXPLOIT
    record.candidate_offer_id.extend(OFFERS)
    spread = 0.1 * coin(int(record.decision_id, 16), "score")
    record.candidate_propensity.extend([chance + spread - 0.05] * len(OFFERS))
    odds = {offer: share / 3 + (1 - share if offer == "shoes" else 0.0) for offer in OFFERS}
    record.slots.append(SlotProbabilities(probability=[odds[offer] for offer in OFFERS]))
