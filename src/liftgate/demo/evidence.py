"""What the log says: decisions and events read back from its segments, counted, and held to what the callers were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from liftgate.demo.lift import Group, Lift, lift
from liftgate.demo.truth import Truth
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.record.codec import decode_decision
from liftgate.record.event_codec import decode_event
from liftgate.record.frame import Damaged, SegmentReader, Stream
from liftgate.record.segment import OPEN, SEALED
from liftgate.record.verify import Verdict, verify
from liftgate.v1.event_service_pb2 import EventKind


@dataclass(slots=True)
class Evidence:
    """The log of one run, read back."""

    verdict: Verdict = field(default_factory=Verdict)
    """What `liftgate log verify` says of its files."""
    decisions: int = 0
    decision_ids: set[str] = field(default_factory=set)
    arms: Counter[Arm] = field(default_factory=Counter)
    """By decision."""
    branches: Counter[Branch] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    held_back: Counter[Reason] = field(default_factory=Counter)
    """Candidates that were not allowed, by the first reason against them."""
    offered: Counter[str] = field(default_factory=Counter)
    server_ms: list[float] = field(default_factory=list)
    """Milliseconds each decision's batch spent in the stages before its write, ascending."""
    batch_sizes: Counter[int] = field(default_factory=Counter)
    """By decision."""
    arm_of: dict[bytes, Arm] = field(default_factory=dict)
    """By person's pseudonym."""
    moved: int = 0
    """Decisions that put a person in another arm than before; 0 in a log that can be believed."""
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By request_id: what was offered, or would have been to a held-out person."""
    exposed: set[bytes] = field(default_factory=set)
    exposures: int = 0
    bought: set[bytes] = field(default_factory=set)
    purchases: int = 0

    @property
    def gaps(self) -> int:
        """Records that a writer numbered and that are in no file."""
        return sum(gap.last - gap.first + 1 for gap in self.verdict.gaps)

    @property
    def damaged(self) -> int:
        """Files with something in them that cannot be read."""
        return sum(bool(report.damage) for report in self.verdict.files)

    @property
    def unsealed(self) -> int:
        """Segments that were not sealed."""
        return sum(report.state in ("live", "left open") for report in self.verdict.files)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(report.bytes for report in self.verdict.files)

    def missing(self, acknowledged: Iterable[str]) -> int:
        """Return how many acknowledged decisions are not in the log."""
        return len(set(acknowledged) - self.decision_ids)

    def people(self, arm: Arm) -> int:
        """Return how many people were assigned to an arm."""
        return sum(1 for found in self.arm_of.values() if found is arm)

    def lift(self) -> Lift:
        """Return treatment minus holdout over everyone assigned. Raises ValueError where there are too few."""
        return lift(self._group(Arm.TREATMENT), self._group(Arm.HOLDOUT))

    def _group(self, arm: Arm) -> Group:
        members = [person for person, found in self.arm_of.items() if found is arm]
        return Group(len(members), sum(person in self.bought for person in members))

    def planted(self, truth: Truth, person_of: dict[str, int]) -> tuple[float, float]:
        """Return the true mean P(buy) of everyone assigned under what the service chose for them, and untouched.

        What it would have offered to held-out people counts as if they had been offered it; both arms see alike.
        """
        seen: dict[int, list[str]] = {person: [] for person in person_of.values()}
        for request_id, offers in self.chosen.items():
            if truth.sees(request_id):
                seen[person_of[request_id]] += offers
        return truth.lift(seen)


def read(directory: Path) -> Evidence:
    """Verify a log directory and read every segment in it."""
    evidence = Evidence(verify(directory))
    for path in sorted(directory.iterdir()):
        if path.suffix not in (SEALED, OPEN):
            continue
        with open(path, "rb") as file, suppress(Damaged):
            reader = SegmentReader(file)
            take = _decision if reader.header.stream is Stream.DECISION else _event
            for frame in reader:
                take(evidence, frame.payload)
    evidence.server_ms.sort()
    return evidence


def _decision(evidence: Evidence, payload: bytes) -> None:
    row = decode_decision(payload)
    if row.decision_id in evidence.decision_ids:
        return
    evidence.decision_ids.add(row.decision_id)
    arm = Arm(row.arm)
    evidence.decisions += 1
    evidence.arms[arm] += 1
    evidence.branches[Branch(row.branch)] += 1
    evidence.reasons[Reason(row.reason)] += 1
    evidence.held_back.update(Reason(code) for code in row.candidate_reason if int(code) not in (Reason.ALLOWED, Reason.CHOSEN))
    evidence.offered.update(row.offered)
    evidence.server_ms.append(sum(row.stage_us) / 1000)
    evidence.batch_sizes[row.batch_size] += 1
    evidence.moved += evidence.arm_of.setdefault(row.person_pseudonym, arm) is not arm
    evidence.chosen[row.request_id] = tuple(row.would_offer if arm is Arm.HOLDOUT else row.offered)


def _event(evidence: Evidence, payload: bytes) -> None:
    row = decode_event(payload)
    if row.kind == EventKind.EVENT_KIND_EXPOSURE:
        evidence.exposures += 1
        evidence.exposed.add(row.person_pseudonym)
    elif row.kind == EventKind.EVENT_KIND_PURCHASE:
        evidence.purchases += 1
        evidence.bought.add(row.person_pseudonym)
