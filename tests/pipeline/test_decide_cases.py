"""Golden cases: tests/cases/decide/*.yaml, each a given, a request, and what response AND record must say.

given:    bundle (default golden), person (default person-0), profile, at (when it was stored),
          consent (purposes; null: nothing stored), history,
          rivals (offers whose caps someone else takes just before the reservation), faults, on_log_failure,
          bundle (golden, or a folder beside it), stops (offer/NAME, group/NAME, model/NAME, all; null: not known),
          reviews (offer: acts about it as it is), verdicts (offer: what a reviewer said of showing it), unknown (nothing stored),
          used | used_by_ghosts (with bundle caps: what counts already, `cap_state.use_up`), rivals_on (the same, taken late),
          events (what the person did, as it is counted), raw_windows (hex: instead of what events say),
          raw_profile | raw_history (hex), raw_consent (text), hashed_consent (of another type), other_schema
request:  placement, request_id (default r0), account_id, time_zone, slots, channel, jurisdiction, attributes, candidates, gpc,
          explain, dry_run, baseline (the caller's own choice), deferred
want:     response | slots | candidates | slot_sums | distinct_slots | inputs | ages | states | record | history | error |
          counted (offer: what its account's or total cap counts) | counted_shared | counted_among_ghosts (all of them, in order) |
          leases (of the person) | refused (offers of the caller's own choice, and why) | account_pseudonym (of which account)
          Only what is named is compared, and compared exactly (floats to 1e-9).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from liftgate.adapters import redis_keys
from liftgate.bundle.compiled import Bundle
from liftgate.domain import consent as consent_documents
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.control import UNKNOWN, Controls, parse_stop
from liftgate.domain.decision import is_deferred
from liftgate.domain.errors import LogUnavailable
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.profile import pack
from liftgate.domain.reason import Arm, Branch, InputState, Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.domain.review import Act, ReviewItem
from liftgate.domain.suppression import stored
from liftgate.domain.verdict import Verdict
from liftgate.domain.verdict import stored as stored_verdicts
from liftgate.pipeline.ports import Charge, Claim
from liftgate.v1.decision_pb2 import DecideResponse
from liftgate.v1.record_pb2 import DecisionRecord
from tests.pipeline.cap_state import claim_of, counted, use_up
from tests.pipeline.told_events import tell
from tests.pipeline.workbench import BUNDLES, NOW_MS, Bench, epoch_ms, workbench

FILES = sorted((Path(__file__).parents[1] / "cases" / "decide").glob("*.yaml"))
FACTORS = ("context_weight", "lever", "untreated_propensity", "smoothed_propensity")
CASES = [(path.stem, case) for path in FILES for case in YAML(typ="safe").load(path.read_text(encoding="utf-8"))]

PROFILE = {"age": 40, "country": "DE", "spend": 12.0, "last_purchase_at": None}
CONSENT = {"personalization": {"status": "granted"}}
STORED_AT = datetime(2026, 6, 15, 11, tzinfo=UTC)


def _ms(moment: datetime) -> int:
    return epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


async def _store(bench: Bench, person: str, given: dict[str, Any]) -> None:
    await bench.forget(person)
    await tell(bench, person, given.get("events", ()))
    if "raw_windows" in given:
        await bench.put(redis_keys.windows(person), bytes.fromhex(given["raw_windows"]))
    if given.get("unknown"):
        if "consent" in given:
            await bench.put(redis_keys.consent(person), consent_documents.document(given["consent"]))
        return
    schema = bench.live.bundle.schema
    at_s = _ms(given.get("at", STORED_AT)) // 1000
    if "raw_profile" in given:
        await bench.put(redis_keys.profile(person), bytes.fromhex(str(given["raw_profile"])))
    elif given.get("other_schema"):
        other = InputSchema((Input("profile.years", InputType.INT), *schema.profile[1:]), schema.context)
        await bench.put(redis_keys.profile(person), pack(other, [1.0] * other.profile_count, at_s))
    else:
        profile = dict(given.get("profile", PROFILE))
        values = [profile.get(column.name.removeprefix("profile.")) for column in schema.profile]
        numbers = [float(_ms(v)) if isinstance(v, datetime) else c.encode(v) for c, v in zip(schema.profile, values, strict=True)]
        await bench.put(redis_keys.profile(person), pack(schema, numbers, at_s))
    if given.get("hashed_consent"):
        await bench.client.call([("HSET", redis_keys.consent(person), "status", "objected")])
    elif "raw_consent" in given:
        await bench.put(redis_keys.consent(person), given["raw_consent"].encode())
    elif (purposes := given.get("consent", CONSENT)) is not None:
        records = {
            name: {key + "_ms" if key.endswith("_at") else key: _ms(v) if key.endswith("_at") else v for key, v in record.items()}
            for name, record in purposes.items()
        }
        await bench.put(redis_keys.consent(person), consent_documents.document(records))
    if "raw_lists" in given or given.get("lists"):
        raw = given["raw_lists"].encode() if "raw_lists" in given else stored(given["lists"])
        await bench.put(redis_keys.lists(person), raw)
    if verdicts := given.get("verdicts"):
        each, index = bench.live.bundle.each_decision, bench.live.bundle.offer_index
        said = {}
        for offer, one in verdicts.items():
            times = _ms(one["at"]), _ms(one["asked"]), _ms(one["until"])
            said[offer] = Verdict(one["approved"], one["by"], *times, "d-1", one.get("digest", each[index[offer]].digest))
        await bench.put(redis_keys.verdicts(person), stored_verdicts(said))
    if "raw_history" in given:
        await bench.put(redis_keys.history(person, False), bytes.fromhex(str(given["raw_history"])))
    elif given.get("bundle") in ("caps", "answer", "defaults"):
        await use_up(bench, person, given.get("used", ()))
        if "used_by_ghosts" in given:
            await use_up(bench, person, given["used_by_ghosts"], ghost=True)
    elif entries := given.get("history"):
        packed = b"".join(_entry(bench, entry) for entry in entries)
        await bench.put(redis_keys.history(person, False), packed)


def _entry(bench: Bench, entry: dict[str, Any]) -> bytes:
    bundle = bench.live.bundle
    (cap,) = bundle.offer_caps[bundle.offer_index[entry["offer"]]]
    until = _ms(entry["until"])
    return ENTRY.pack(bundle.caps[cap].cap_id, b"earlier!", float(_ms(entry.get("live_until", entry["until"]))), float(until))


def _controls(given: dict[str, Any], bundle: Bundle) -> Controls:
    stops = given.get("stops", ())
    items = {}
    for offer, acts in given.get("reviews", {}).items():
        review = bundle.reviews[bundle.offer_index[offer]]
        done = tuple(
            Act(act["act"], act["by"], tuple(act.get("roles", ())), _ms(act["at"]), "why", _ms(act["until"]) if "until" in act else 0)
            for act in acts
        )
        items[review.digest] = ReviewItem(review.digest, "offer", review.subject, bundle.name, review.needs, "", done)
    return UNKNOWN if stops is None else Controls(stops=tuple(parse_stop(key, b"{}") for key in stops), items=items)


def _rival(bench: Bench, person: str, offer: str) -> Claim:
    """Someone else's claim on the offer's cap for the same person."""
    bundle = bench.live.bundle
    (cap,) = bundle.offer_caps[bundle.offer_index[offer]]
    charge = Charge(bundle.caps[cap].cap_id, 99, NOW_MS + 3_600_000.0, NOW_MS + 3_600_000.0)
    return Claim(person, False, "", b"rival...", b"rivalid.", (charge,), NOW_MS, b"", b"")


def _request(case: dict[str, Any], person: str) -> DecideRequest:
    asked = case["request"]
    return DecideRequest(
        request_id=asked.get("request_id", "r0"),
        person_id=person,
        placement_id=asked["placement"],
        slot_count=asked.get("slots", 1),
        context=Context(
            channel=asked.get("channel", ""),
            time_zone=asked.get("time_zone", ""),
            attributes=asked.get("attributes", {}),
            jurisdiction=asked.get("jurisdiction", ""),
        ),
        gpc=asked.get("gpc", False),
        candidates=tuple(asked["candidates"]) if "candidates" in asked else None,
        explain=asked.get("explain", False),
        dry_run=asked.get("dry_run", False),
        account_id=asked.get("account_id", ""),
        idempotent=False,
        baseline_offers=tuple(asked.get("baseline", ())),
        deferred=asked.get("deferred", False),
    )


async def arrange(bench: Bench, case: dict[str, Any], person: str) -> DecideRequest:
    """Put what is given in place, and return the request."""
    given = case.get("given", {})
    await _store(bench, person, given)
    bench.faults.on = set(given.get("faults", ()))
    bench.faults.rivals = [_rival(bench, person, offer) for offer in given.get("rivals", ())]
    bench.faults.rivals += [claim_of(bench, person, one) for one in given.get("rivals_on", ())]
    bench.ports.controls.put(_controls(given, bench.live.bundle))
    if "guard_breaks" in bench.faults.on:
        object.__setattr__(bench.live, "chain", None)
    return _request(case, person)


@pytest.mark.parametrize(("topic", "case"), CASES, ids=[f"{topic}: {case['says']}" for topic, case in CASES])
async def test_case(topic: str, case: dict[str, Any], valkey_url: str, tmp_path: Path) -> None:
    """The case's sentence holds, in the answer and in the log."""
    given, want = case.get("given", {}), case["want"]
    person = given.get("person", "person-0")
    bundle = BUNDLES / given.get("bundle", "golden")
    async with workbench(valkey_url, tmp_path, bundle, given.get("on_log_failure", "refuse")) as bench:
        request = await arrange(bench, case, person)
        if "error" in want:
            assert want["error"] == "LogUnavailable"
            with pytest.raises(LogUnavailable):
                await bench.batcher.submit(request, bench.live)
        else:
            response = DecideResponse.FromString(await bench.batcher.submit(request, bench.live))
            _check_response(bench, response, want)
        if want.get("record") == "none":
            assert bench.records == []
        else:
            (record,) = bench.records
            _check_record(record, want)
        if "history" in want:
            (replies,) = [await bench.client.call([("MGET", redis_keys.history(person, False), redis_keys.history(person, True))])]
            counts = [len(raw or b"") // ENTRY.size for raw in replies[0]]
            assert counts == [want["history"]["real"], want["history"]["ghost"]]
        if "account_pseudonym" in want:
            assert record.account_pseudonym == bench.ports.account_pseudonym(want["account_pseudonym"]) != b""
        if "leases" in want:
            entries = list(ENTRY.iter_unpack(replies[0][0] or b""))
            assert sum(live_until != until for _, _, live_until, until in entries) == want["leases"]
        for side, key in ((False, "counted_shared"), (True, "counted_among_ghosts")):
            for offer, counts in want.get(key, {}).items():
                assert await counted(bench, offer, side) == counts
        for offer, count in want.get("counted", {}).items():
            assert await counted(bench, offer) == [count] * len(await counted(bench, offer))


def _check_response(bench: Bench, response: DecideResponse, want: dict[str, Any]) -> None:
    wanted = dict(want.get("response", {}))
    for name, enum in (("arm", Arm), ("branch", Branch), ("reason", Reason)):
        if name in wanted:
            assert enum(getattr(response, name)).name == wanted.pop(name)
    if "deferred_id" in wanted:
        assert is_deferred(response.decision_id) is wanted.pop("deferred_id")
    if "refused" in want:
        assert {one.offer_id: Reason(one.reason).name for one in response.baseline_refused} == want["refused"]
    if "valid_until" in wanted:
        assert response.valid_until_ms == _ms(wanted.pop("valid_until"))
    for name, value in wanted.items():
        assert getattr(response, name) == value, name
    assert response.bundle_digest == bench.live.bundle.digest
    if "slots" in want:
        assert len(response.slots) == len(want["slots"])
        for slot, expected in zip(response.slots, want["slots"], strict=True):
            for key, value in expected.items():
                if key == "payload":
                    assert YAML(typ="safe").load(slot.payload_json) == value
                else:
                    name = {"offer": "offer_id", "probability": "selection_probability"}.get(key, key)
                    assert (
                        getattr(slot, name) == pytest.approx(value, abs=1e-9) if isinstance(value, float) else getattr(slot, name) == value
                    )
    if "distinct_slots" in want:
        assert len({slot.offer_id for slot in response.slots}) == want["distinct_slots"]


def _check_record(record: DecisionRecord, want: dict[str, Any]) -> None:
    if "response" in want and "reason" in want["response"]:
        assert Reason(record.reason).name == want["response"]["reason"]
    for name, value in (want.get("record") or {}).items():
        got = getattr(record, name)
        if name == "fallback_reason":
            assert Reason(got).name == value
        elif isinstance(value, list):
            assert list(got) == pytest.approx(value) if value and isinstance(value[0], float) else list(got) == value
        else:
            assert got == value, name
    position = {offer: i for i, offer in enumerate(record.candidate_offer_id)}
    vector = list(record.slots[0].probability) if record.slots else []
    for offer, expected in want.get("candidates", {}).items():
        i = position[offer]
        if "reason" in expected:
            assert Reason(record.candidate_reason[i]).name == expected["reason"], offer
        if "shadow_reason" in expected:
            assert Reason(record.candidate_shadow_reason[i]).name == expected["shadow_reason"], offer
        factors = {name: getattr(record, f"candidate_{name}") for name in FACTORS}
        numbers = {"propensity": record.candidate_propensity, "value": record.candidate_value, "probability": vector} | factors
        for key, column in numbers.items():
            if key in expected:
                assert column[i] == pytest.approx(expected[key], abs=1e-7), (offer, key)
    # Whatever the case asks: masked means 0, and a vector sums to 1 or to 0.
    for slot in record.slots:
        for i, reason in enumerate(record.candidate_reason):
            if Reason(reason) not in (Reason.ALLOWED, Reason.CHOSEN):
                assert slot.probability[i] == 0
        assert sum(slot.probability) == pytest.approx(1.0) or sum(slot.probability) == 0.0
    if "slot_sums" in want:
        assert [sum(slot.probability) for slot in record.slots] == pytest.approx(want["slot_sums"])
    _check_inputs(record, want)


def _check_inputs(record: DecisionRecord, want: dict[str, Any]) -> None:
    column = {described.name: i for i, described in enumerate(record.inputs)}
    for name, value in want.get("inputs", {}).items():
        i = column[name]
        number = record.input_value[i]
        got = None if number != number else record.inputs[i].values[int(number)] if record.inputs[i].type == "string" else number
        assert got == (pytest.approx(value) if isinstance(value, float) else value), name
    for name, age in want.get("ages", {}).items():
        assert record.input_age_s[column[name]] == pytest.approx(age)
    for name, state in want.get("states", {}).items():
        assert InputState(record.input_state[column[name]]).name == state, name
