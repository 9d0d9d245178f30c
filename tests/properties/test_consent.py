"""Over tens of thousands of generated consent states no offer is shown, no profile is read and nobody is enrolled without a yes.

Each example is a batch of hundreds of cases on the real walk: real bundle, guardrails, model, record; people, caps and log in memory.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.memory_stores import MemoryProfileStore, MemoryReservations
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.bundle.consent_rules import ConsentRules
from liftgate.bundle.load import load_bundle
from liftgate.domain import consent
from liftgate.domain.batch import Batch
from liftgate.domain.bucketing import SPACE, Salt
from liftgate.domain.profile import pack
from liftgate.domain.reason import Arm, InputState, Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline import consent as walked
from liftgate.pipeline.decide import decide
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Ports, Walk
from liftgate.record.codec import decode_decision
from liftgate.v1.record_pb2 import DecisionRecord
from tests.pipeline.workbench import BUNDLES, Faults, FaultyModels, Hands, Watcher
from tests.properties.consent_cases import BUNDLE, BYTES, NOW, PLACEMENTS, Case, allowed, case_of, granted

BATCH = 320
EXAMPLES = 165
WANTED = 50_000


def _live() -> Live:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bundle.yaml").write_text(BUNDLE)
        bundle = load_bundle(Path(folder), BUNDLES / "golden" / "models")
        return Live(bundle, FaultyModels(OnnxModels.load(bundle), FAULTS))


FAULTS = Faults()
LIVE = _live()
SCHEMA = LIVE.bundle.schema
PROFILES = {
    "found": pack(SCHEMA, [40.0, 0.0, float("nan"), 12.0], NOW // 1000),
    "child": pack(SCHEMA, [12.0, 0.0, float("nan"), 12.0], NOW // 1000),
    "damaged": b"LG damaged",
}
HALF = Salt("layer", "consents-half")
_persons = itertools.count()


class Kept:
    """A Log over a list."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    async def append(self, records: Sequence[bytes]) -> None:
        """See ports.Log."""
        self.records += records


def walk(cases: Sequence[Case], live: Live = LIVE) -> list[tuple[str, Case, DecisionRecord]]:
    """Decide for one person a case, in one batch whose clocks read as the cases say; return who, what was given, what was recorded."""
    store, log, first = MemoryProfileStore(), Kept(), next(_persons)
    requests = []
    for i, case in enumerate(cases):
        person = f"p{first}-{i}"
        if case.profile in PROFILES:
            store.packed[person] = PROFILES[case.profile]
        if case.raw is not None:
            store.consent[person] = case.raw
        listed = PLACEMENTS[case.placement][0] if case.listed else None
        context = Context(channel=case.channel, jurisdiction=case.jurisdiction)
        slots = 2 if case.placement == "open" else 1
        requests.append(DecideRequest("r", person, case.placement, slots, context, case.gpc, listed))
    store.down = any(case.store_down for case in cases)
    hands = Hands(first << 32)
    ports = Ports(store, MemoryReservations(store.history), log, GrpcAnswers(), Watcher(), hands, hands, Pseudonyms("k", b"k" * 32), "k")
    batch = Batch(requests, np.array([case.clock_ms for case in cases], dtype=np.int64))
    asyncio.run(decide(Walk(batch, live, ports)))
    people = [request.person_id for request in requests]
    return list(zip(people, cases, map(decode_decision, log.records), strict=True))


def faults(person: str, case: Case, record: DecisionRecord) -> list[str]:
    """Return everything in which a record differs from the reference."""
    found = []
    candidates, default = PLACEMENTS[case.placement]
    passed = {Reason.ALLOWED, Reason.CHOSEN}
    mine = {offer for offer, code in zip(record.candidate_offer_id, record.candidate_reason, strict=True) if int(code) in passed}
    may = {offer for offer in candidates if allowed(case, offer)}
    if mine != may:
        found.append(f"allowed {sorted(mine)}, not {sorted(may)}")
    shown = {*record.offered, *record.would_offer}
    if any(not allowed(case, offer) for offer in shown):
        found.append(f"shown without a yes: {sorted(shown)}")
    if not may and default is not None and bool(shown) != allowed(case, default):
        found.append("the default offer is not judged like any other")
    enrolled = granted(case, "experiments")
    held = HALF.bucket(person) < SPACE // 2
    arm = Arm.NOT_ENROLLED if not enrolled else Arm.HOLDOUT if held else Arm.TREATMENT
    if int(record.arm) != arm or bool(record.assignments) != enrolled:
        found.append(f"arm {Arm(int(record.arm)).name}, not {arm.name}")
    return found + _personal_faults(case, record)


def _personal_faults(case: Case, record: DecisionRecord) -> list[str]:
    """Return what of the profile is in a record that it must not, or must, be in."""
    profile = [i for i, column in enumerate(record.inputs) if column.name.startswith("profile.")]
    states = {int(record.input_state[i]) for i in profile}
    stored = case.profile in ("found", "child") and not case.store_down
    read = stored and granted(case, "personalization")
    found = []
    if read != (int(InputState.STORED) in states):
        found.append("the profile is read" if not read else "the profile is not read")
    ages = [record.input_age_s[i] for i in profile]
    if not read and any(age == age for age in ages):
        found.append("the ages of features are read")
    if stored and not read and ("profile.*" not in record.masked_paths or states != {int(InputState.MASKED)}):
        found.append("what is withheld is not said to be")
    return found


batches = st.lists(st.binary(min_size=BYTES, max_size=BYTES), min_size=BATCH, max_size=BATCH)


def test_no_yes_no_offer(capsys: pytest.CaptureFixture[str]) -> None:
    """In 50,000 cases and more what is allowed, shown, read and enrolled is what the reference says, whatever is stored or broken."""
    seen: Counter[str] = Counter()

    def one(raws: list[bytes], fault: str | None) -> None:
        cases = [case_of(raw) for raw in raws]
        for case in cases:
            case.store_down = fault == "store"
        FAULTS.on = {"model_fails"} if fault == "model" else set()
        for person, case, record in walk(cases):
            assert faults(person, case, record) == [], case
            seen["cases"] += 1
            seen["personal offers shown"] += bool({"personal", "both", "rare"} & {*record.offered, *record.would_offer})
            seen["personal offers denied"] += not allowed(case, "both")
            seen["enrolled"] += bool(record.assignments)
            seen[f"fault {fault}"] += 1

    # Shares of faults by count and not by chance.
    for fault, ninths in ((None, 7), ("store", 1), ("model", 1)):
        kind = settings(max_examples=EXAMPLES * ninths // 9 + 1, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        kind(given(batches, st.just(fault))(one))()
    with capsys.disabled():
        print(f" [{seen['cases']:,} consent cases] ", end="")
    assert seen["cases"] >= WANTED
    # Neither answer is rare, or the agreement would say little.
    for name in ("personal offers shown", "personal offers denied", "enrolled", "fault store", "fault model"):
        assert seen[name] > seen["cases"] / 50, (name, seen)


@contextmanager
def _put(where: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)


def _patched_record(change: Callable[[dict[str, Any]], None]) -> Any:
    """Return the judgement of one record with a mistake in it: the record is changed before it is judged."""
    judge = consent._one

    def wrong(record: Any, now_ms: int) -> Any:
        if isinstance(record, dict):
            record = dict(record)
            change(record)
        return judge(record, now_ms)

    return wrong


def _pending_is_yes(record: dict[str, Any]) -> None:
    if record.get("status") == "pending":
        record["status"] = "granted"


judge_defaults = walked._apply_defaults


def _defaults_over_everything(batch: Batch, bundle: Any, documents: Any) -> None:
    """A default takes the place of any no, not only of a missing record."""
    denied = batch.consent != Reason.ALLOWED
    batch.consent[denied] = Reason.CONSENT_MISSING
    judge_defaults(batch, bundle, documents)


MISTAKES: dict[str, Callable[[], Any]] = {
    "pending is yes": lambda: _put(consent, "_one", _patched_record(_pending_is_yes)),
    "any status will do": lambda: _put(consent, "_one", _patched_record(lambda record: record.update(status="granted"))),
    "no expiry": lambda: _put(consent, "_one", _patched_record(lambda record: record.pop("expires_at_ms", None))),
    "a grant from the future": lambda: _put(consent, "_one", _patched_record(lambda record: record.pop("given_at_ms", None))),
    "withdrawals are forgotten": lambda: _put(consent, "_one", _patched_record(lambda record: record.pop("withdrawn_at_ms", None))),
    "a default beats a refusal": lambda: _put(walked, "_apply_defaults", _defaults_over_everything),
    "one jurisdiction for all": lambda: _put(consent, "jurisdiction", lambda raw: "US"),
    "no channel needs nothing": lambda: _put(ConsentRules, "needs_of", lambda rules, channel: rules.channels.get(channel, 1)),
    "an absent store is a missing record": lambda: _put(walked, "_UNAVAILABLE", Reason.CONSENT_MISSING),
    "everyone is enrolled": lambda: _put(walked, "enrol", lambda batch, purpose: None),
    "signals are not heard": lambda: _put(walked, "_GPC", Reason.ALLOWED),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_evaluator_is_caught(mistake: str) -> None:
    """The control arm: with one mistake in how consent is judged, a few thousand cases show it."""
    rolls = np.random.default_rng(7).bytes(BYTES * 3_000)
    cases = [case_of(rolls[i : i + BYTES]) for i in range(0, len(rolls), BYTES)]
    assert not any(faults(*one) for one in walk(cases))
    for case in cases:
        case.store_down = "store" in mistake
    # One that remembers nothing yet: the other has read these documents rightly.
    anew = Live(LIVE.bundle, LIVE.models)
    with MISTAKES[mistake]():
        wrong = sum(bool(faults(*one)) for one in walk(cases, anew))
    assert wrong > 0
