"""What the plain servers decide: one request at a time, three HGETALLs, one model run, loops, `json.dumps`.

It gives the same offer for the same request as the full Decide as long as no cap binds within one person's concurrent
requests (it charges caps without a lock), and it remembers no request_id.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis.asyncio

from liftgate.adapters.onnx_runtime import ort
from liftgate.bundle.compiled import Bundle, ModelInput, ModelSpec
from liftgate.domain.bucketing import Salt
from liftgate.domain.input import Input, InputType
from liftgate.domain.reason import Arm, Branch, Reason

_READ: dict[InputType, Callable[[str], Any]] = {
    InputType.INT: int,
    InputType.FLOAT: float,
    InputType.BOOL: "True".__eq__,
    InputType.STRING: str,
    InputType.TIMESTAMP: int,
}
Condition = Callable[[dict[str, Any], dict[str, Any]], bool]


def plain_key(person: str, what: str) -> str:
    """Return the key of `features`, `consent`, `history` or `ghost`."""
    return f"plain:{person}:{what}"


def condition(text: str) -> Condition:
    """Return one of the bench's conditions as a Python function of profile and context. It raises KeyError on what is missing."""
    python = text.replace("&&", " and ").replace("||", " or ")
    python = re.sub(r"(profile|context)\.(\w+)", r'\1["\2"]', python)
    function: Condition = eval(f"lambda profile, context: {python}")
    return function


class _Offer:
    """One offer's rules, side by side."""

    def __init__(self, bundle: Bundle, index: int) -> None:
        offer = bundle.offers[index]
        self.index, self.id, self.value, self.payload = index, offer.offer_id, offer.value, offer.payload_json
        self.purposes = [name for p, name in enumerate(bundle.purposes) if bundle.needs_purpose[index, p]]
        self.channels = (
            {name for c, name in enumerate(bundle.channels) if bundle.on_channel[index, c]} if bundle.needs_channel[index] else None
        )
        self.starts_at_ms, self.ends_at_ms = float(bundle.starts_at_ms[index]), float(bundle.ends_at_ms[index])
        self.eligible_if = [condition(rule.condition.text) for rule in bundle.eligible_if if index in rule.offers]
        self.suppress_if = [condition(rule.condition.text) for rule in bundle.suppress_if if index in rule.offers]
        self.caps = [bundle.caps[c] for c in bundle.offer_caps[index]]
        self.output = int(bundle.offer_output[index]) if bundle.offer_model[index] >= 0 else -1
        self.base_rate = float(bundle.base_rate[index])

    def objection(
        self, profile: dict[str, Any], context: dict[str, Any], consent: dict[str, str], now_ms: int, used: dict[str, int]
    ) -> Reason:
        """Return why the offer may not be shown, or ALLOWED."""
        for purpose in self.purposes:
            status = consent.get(purpose)
            if status != "granted":
                return Reason.CONSENT_MISSING if status is None else Reason.CONSENT_DENIED
        if self.channels is not None and context["channel"] not in self.channels:
            return Reason.CHANNEL_NOT_ALLOWED
        if now_ms < self.starts_at_ms:
            return Reason.NOT_STARTED
        if now_ms >= self.ends_at_ms:
            return Reason.ENDED
        for eligible in self.eligible_if:
            try:
                if not eligible(profile, context):
                    return Reason.NOT_ELIGIBLE
            except KeyError:
                return Reason.ELIGIBILITY_UNKNOWN
        for suppressed in self.suppress_if:
            try:
                if suppressed(profile, context):
                    return Reason.SUPPRESSED
            except KeyError:
                return Reason.SUPPRESSION_UNKNOWN
        for cap in self.caps:
            if used.get(cap.name, 0) >= cap.limit:
                return Reason.FREQUENCY_CAP
        return Reason.ALLOWED


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, in no transport's words."""

    decision_id: str
    arm: Arm
    branch: Branch
    reason: Reason
    slots: list[dict[str, Any]]
    """offer_id, payload_json, propensity, value, selection_probability of each."""
    bundle_digest: str
    valid_until_ms: int


class PlainDecisions:
    """Decides, one request at a time."""

    def __init__(self, bundle: Bundle, store: redis.asyncio.Redis, log: Path, drawn_by: Callable[[str], str] = str) -> None:
        """`drawn_by`: what a person's draws are a function of, beside the request_id."""
        self._bundle, self._store, self._drawn_by = bundle, store, drawn_by
        self._offers = [_Offer(bundle, k) for k in range(len(bundle.offers))]
        self._placements = {placement.placement_id: placement for placement in bundle.placements}
        self._layer = bundle.layers[0]
        self._layer_salt = Salt("layer", self._layer.salt)
        self._draw_salts = {name: Salt("select", bundle.name, name, "0") for name in self._placements}
        self._purpose = bundle.purposes[bundle.profile_purpose]
        self._features = {column.name.removeprefix("profile."): column for column in bundle.schema.profile}
        self._defaults = {name: column.decode(column.default) for name, column in self._features.items() if not np.isnan(column.default)}
        (self._spec,) = bundle.models
        self._columns = [_Column(bundle.schema.inputs[column.input], column) for column in self._spec.inputs]
        self._session = _session(self._spec)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def decide(self, person: str, request_id: str, placement_id: str, asked: dict[str, Any]) -> Answer:
        """Walk the same stages as Liftgate for one person; `asked` is the context: channel and device."""
        now_ms = int(time.time() * 1000)
        placement = self._placements[placement_id]
        held_out = self._layer_salt.bucket(person) < self._layer.boundary
        history_key = plain_key(person, "ghost" if held_out else "history")
        async with self._store.pipeline(transaction=False) as pipe:
            pipe.hgetall(plain_key(person, "features"))
            pipe.hgetall(plain_key(person, "consent"))
            pipe.hgetall(history_key)
            stored, consent, history = await pipe.execute()

        used: dict[str, int] = {}
        for entry, until in history.items():
            if float(until) > now_ms:
                cap = entry.partition("|")[0]
                used[cap] = used.get(cap, 0) + 1
        readable = bool(stored) and consent.get(self._purpose) == "granted"
        profile = dict(self._defaults)
        if readable:
            for name, text in stored.items():
                profile[name] = _READ[self._features[name].type](text)

        reasons = [offer.objection(profile, asked, consent, now_ms, used) for offer in self._offers]
        allowed = [offer for offer, reason in zip(self._offers, reasons, strict=True) if reason is Reason.ALLOWED]
        scores = self._score(profile) if readable and any(offer.output >= 0 for offer in allowed) else None
        propensity = {o.index: o.base_rate if scores is None or o.output < 0 else float(scores[o.output]) for o in allowed}
        u = self._draw_salts[placement_id].uniform(self._drawn_by(person), request_id)
        probability, chosen, explored = self._select(allowed, propensity, placement.epsilon, u)

        offered = [] if held_out or chosen is None else [chosen]
        if chosen is not None and chosen.caps:
            decided = uuid.uuid4().hex
            entries: dict[Any, Any] = {f"{cap.name}|{decided}": str(now_ms + cap.window_ms) for cap in chosen.caps}
            async with self._store.pipeline(transaction=False) as pipe:
                pipe.hset(history_key, mapping=entries)
                pipe.pexpire(history_key, max(cap.window_ms for cap in chosen.caps))
                await pipe.execute()
        branch = Branch.HOLDOUT if held_out else Branch.DEFAULT if chosen is None else Branch.EXPLORE if explored else Branch.EXPLOIT
        reason = (
            Reason.HELD_OUT
            if held_out
            else Reason.NO_OFFER_ALLOWED
            if chosen is None
            else Reason.OFFERED
            if readable
            else Reason.PROFILE_NOT_CONSENTED
        )
        answer = Answer(
            decision_id=uuid.uuid4().hex,
            arm=Arm.HOLDOUT if held_out else Arm.TREATMENT,
            branch=branch,
            reason=reason,
            slots=[
                {
                    "offer_id": offer.id,
                    "payload_json": offer.payload,
                    "propensity": propensity[offer.index],
                    "value": offer.value,
                    "selection_probability": probability[offer.index],
                }
                for offer in offered
            ],
            bundle_digest=self._bundle.digest,
            valid_until_ms=now_ms + placement.valid_for_ms,
        )
        record = {
            "decision_id": answer.decision_id,
            "request_id": request_id,
            "decided_at_ms": now_ms,
            "placement_id": placement_id,
            "bundle_digest": self._bundle.digest,
            "model": [self._spec.name, self._spec.version, self._spec.sha256],
            "arm": answer.arm,
            "branch": answer.branch,
            "reason": answer.reason,
            "offered": [offer.id for offer in offered],
            "would_offer": [chosen.id] if held_out and chosen is not None else [],
            "candidates": [
                [o.id, reason, propensity.get(o.index), o.value, probability.get(o.index, 0.0)]
                for o, reason in zip(self._offers, reasons, strict=True)
            ],
            "inputs": profile if readable else {},
            "consent": consent,
            "valid_until_ms": answer.valid_until_ms,
        }
        os.write(self._log, json.dumps(record).encode() + b"\n")
        return answer

    def _score(self, profile: dict[str, Any]) -> Any:
        row = np.array([[column.number(profile) for column in self._columns]], dtype=np.float32)
        return self._session.run([self._spec.output_name], {self._spec.input_name: row})[0][0, list(self._spec.output_columns)]

    @staticmethod
    def _select(
        allowed: list[_Offer], propensity: dict[int, float], epsilon: float, u: float
    ) -> tuple[dict[int, float], _Offer | None, bool]:
        """Return probabilities by offer index, the offer drawn, and whether it was explored."""
        if not allowed:
            return {}, None, False
        expected = {offer.index: propensity[offer.index] * offer.value for offer in allowed}
        best = max(expected.values())
        top = [offer for offer in allowed if expected[offer.index] == best]
        explore, exploit = epsilon / len(allowed), (1.0 - epsilon) / len(top)
        probability = {offer.index: explore for offer in allowed}
        for offer in top:
            probability[offer.index] += exploit
        below = 0.0
        for offer in allowed:
            below += explore
            if u < below:
                return probability, offer, True
        for offer in top:
            below += exploit
            if u < below:
                return probability, offer, False
        return probability, top[-1], False


class _Column:
    """One model input, from a person's features."""

    def __init__(self, source: Input, column: ModelInput) -> None:
        self._name = source.name.removeprefix("profile.")
        self._equals = None if column.equals is None else source.decode(column.equals)
        self._missing = column.missing

    def number(self, profile: dict[str, Any]) -> float:
        value = profile.get(self._name)
        if value is None:
            return self._missing
        return float(value if self._equals is None else value == self._equals)


def _session(spec: ModelSpec) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(spec.directory / "model.onnx"), options, providers=["CPUExecutionProvider"])
