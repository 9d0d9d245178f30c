"""The world of one case: its person stored in memory, its clock, its models, and the faults that it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import count
from math import isnan, nan
from typing import Any

import numpy as np

from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.memory_stores import MemoryProfileStore, MemoryReservations
from liftgate.app.cases.document import ALL, ConsentEntry, Person
from liftgate.app.cases.history import packed_account, packed_history, totals_used
from liftgate.app.cases.moment import moment_ms
from liftgate.app.cases.reading import Planned
from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.bundle.control_columns import control_columns
from liftgate.domain import consent, suppression
from liftgate.domain.batch import Batch
from liftgate.domain.bucketing import SPACE
from liftgate.domain.control import UNKNOWN_COLUMNS, ControlColumns, Controls, Stop
from liftgate.domain.decision import Decision
from liftgate.domain.errors import ModelFailed
from liftgate.domain.input import Floats, InputSchema, InputType
from liftgate.domain.layer import OUTSIDE, Layer
from liftgate.domain.profile import pack
from liftgate.domain.request import DecideRequest
from liftgate.domain.verdict import Verdict, stored
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Models
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Ports

_TRIES = 200_000


class NobodyFits(Exception):
    """No person id falls into the layer that the case asks for; the message says so in plain words."""


class GivenModels:
    """The real models, but for outputs that the case gives; or none at all."""

    def __init__(self, bundle: Bundle, real: Models, given: Mapping[str, float], down: bool) -> None:
        self._real, self._down = real, down
        self._given: dict[tuple[str, int], dict[int, float]] = {}
        """By name and version: output to probability."""
        for offer_id, probability in given.items():
            k = bundle.offer_index[offer_id]
            index = int(bundle.offer_model[k])
            outputs = {index: int(bundle.offer_output[k])}
            # Whatever model scores the offer in the person's arms, it gives this.
            outputs |= {one.by: int(one.treated[k]) for one in bundle.variation.replacements if one.model == index}
            for by, output in outputs.items():
                self._given.setdefault((bundle.models[by].name, bundle.models[by].version), {})[output] = probability

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """See `pipeline.ports.Models`."""
        if self._down:
            raise ModelFailed("the case switches it off")
        scores = self._real.score(model, matrix)
        for output, probability in self._given.get((model.name, model.version), {}).items():
            scores[:, output] = probability
        return scores


@dataclass
class Hands:
    """A clock that stands still, and ids that count."""

    ms: int
    _count: count[int] = field(default_factory=lambda: count(1))

    def now_ms(self) -> int:
        """See `pipeline.ports.Clock`."""
        return self.ms

    def decision_id(self) -> str:
        """See `pipeline.ports.Ids`."""
        return f"{next(self._count):032x}"

    def decision_ids(self, count: int) -> list[str]:
        """See `pipeline.ports.Ids`."""
        return [self.decision_id() for _ in range(count)]


class NoLog:
    """Takes every record and keeps none."""

    async def append(self, records: Sequence[bytes]) -> None:
        """See `pipeline.ports.Log`."""


class NoObserver:
    """Sees nothing."""

    def decided(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> None:
        """See `pipeline.ports.Observer`."""

    def fell_back(self, stage: Stage, cause: str, requests: Sequence[DecideRequest] = ()) -> None:
        """See `pipeline.ports.Observer`."""

    def joined(self, recovered: bool) -> None:
        """See `pipeline.ports.Observer`."""


def ports_of(planned: Planned, live: Live, person_id: str) -> Ports:
    """Return what the walk of the case reaches outside: stores in memory that hold its person, and nothing that lasts."""
    store, case = planned.case.store, planned.case
    profiles = MemoryProfileStore(down=store in ("down", "profiles_down"))
    _store(profiles, planned, person_id, live)
    if case.verdicts:
        profiles.verdicts[person_id] = _verdicts(case.verdicts, live.bundle, planned.now_ms)
    profiles.totals.update(totals_used(case.used_in_total, live, planned.now_ms))
    hands = Hands(planned.now_ms)
    return Ports(
        profiles=profiles,
        reservations=MemoryReservations(
            history=profiles.history,
            accounts=profiles.accounts,
            totals=profiles.totals,
            down=case.store in ("down", "reservations_down"),
        ),
        log=NoLog(),
        answers=GrpcAnswers(),
        observer=NoObserver(),
        ids=hands,
        clock=hands,
        pseudonym=lambda _: bytes(16),
        pseudonym_key_id="none",
    )


def _verdicts(given: Mapping[str, str], bundle: Bundle, now_ms: int) -> bytes:
    """Return what is stored of reviewers' verdicts, for offers of which every decision is reviewed."""
    each = {bundle.offers[k].offer_id: one for k, one in bundle.each_decision.items()}
    found = {}
    for offer_id, word in given.items():
        if offer_id in each:
            found[offer_id] = Verdict(word == "approved", "", now_ms, now_ms, now_ms + 1, "", each[offer_id].digest)
    return stored(found)


def person_id_of(planned: Planned, live: Live) -> str:
    """Return the id of the case's person: the given one, or the first of a fixed series that the layers put where it belongs.

    Raises NobodyFits.
    """
    person = planned.person
    if person.id is not None:
        return person.id
    changing = live.bundle.variation.effects
    drawn = [
        (one, _wanted(person, one.layer, {arm for layer, arm in changing if layer == index}))
        for index, one in enumerate(live.layers.each)
        if one.layer.unit == "person"
    ]
    for i in range(_TRIES):
        person_id = f"{planned.person_name}-{i}" if i else planned.person_name
        if all(one.arm(person_id) in wanted for one, wanted in drawn):
            return person_id
    where = f"held out by `{person.held_out}` alone" if person.held_out else "held out by no layer"
    where += "".join(f" and in arm `{arm}` of `{name}`" for name, arm in person.arms.items())
    raise NobodyFits(f"of {_TRIES:,} people nobody is {where}: look at the shares in `layers:`")


def _wanted(person: Person, layer: Layer, changing: AbstractSet[int]) -> frozenset[int]:
    """Return the arms of a layer, -1 none, that the case's person may be in. `changing`: arms that change something.

    A case that says nothing of a layer is about what holds for everybody: its person is in no arm that changes anything, if that can be.
    """
    if layer.name in person.arms:
        named = {arm.name: i for i, arm in enumerate(layer.arms)} | {"outside": OUTSIDE}
        return frozenset({named[person.arms[layer.name]]})
    if layer.name == person.held_out:
        return frozenset({0})
    if layer.kind == "holdout":
        return frozenset(range(OUTSIDE, len(layer.arms))) - {0}
    usual = {arm for arm, one in enumerate(layer.arms) if arm not in changing and one.used}
    outside = sum(one.used for one in layer.arms) < SPACE or layer.exclusive is not None
    found = usual | ({OUTSIDE} if outside else set())
    return frozenset(found or range(OUTSIDE, len(layer.arms)))


def _store(store: MemoryProfileStore, planned: Planned, person_id: str, live: Live) -> None:
    person, now_ms = planned.person, planned.now_ms
    if "profile" in person.unreadable:
        store.packed[person_id] = b"not a profile"
    elif person.profile is not None:
        values, at_s = _columns(person, live.bundle.schema, now_ms)
        store.packed[person_id] = pack(live.bundle.schema, values, at_s)
        if live.bundle.streams:
            store.told[person_id] = _told(live.bundle, values, at_s, now_ms)
    if "consent" in person.unreadable:
        store.consent[person_id] = b"not a consent"
    elif person.consent is not None:
        records = {purpose: _consent(entry, now_ms) for purpose, entry in person.consent.items()}
        store.consent[person_id] = consent.document(records)
    if "lists" in person.unreadable:
        store.lists[person_id] = b"not a membership"
    elif person.lists:
        store.lists[person_id] = suppression.stored(person.lists)
    if person.account is not None:
        store.accounts[person.account, False] = packed_account((*person.history, *person.account_history), live, now_ms)
    # What a held-out person would have had counts apart: the case means the one that the walk reads. Of who is held out of some offers it
    # reads both: there it is what they were shown.
    for ghost in (False, True) if not _partly(person_id, live) else (False,):
        if "history" in person.unreadable:
            store.history[person_id, ghost] = b"damaged"
        elif person.history:
            store.history[person_id, ghost] = packed_history(person.history, live, now_ms, planned.context.time_zone)


def _partly(person_id: str, live: Live) -> bool:
    """Say whether the person is held out of some offers, and not of everything."""
    held = [one.layer for one in live.layers.each if one.layer.kind == "holdout" and one.layer.unit == "person" and one.arm(person_id) == 0]
    return bool(held) and not any(layer.universal for layer in held)


def _consent(entry: ConsentEntry, now_ms: int) -> dict[str, Any]:
    record = entry.model_dump(exclude={"given", "expires", "withdrawn"}, exclude_none=True)
    times = {key: getattr(entry, key) for key in ("given", "expires", "withdrawn")}
    return record | {f"{key}_at_ms": moment_ms(text, now_ms) for key, text in times.items() if text is not None}


def controls_of(planned: Planned, bundle: Bundle) -> ControlColumns:
    """Return what the case says is stopped and approved."""
    case = planned.case
    if case.controls == "unknown":
        return UNKNOWN_COLUMNS
    stops = [subject.partition("/") for subject in case.stopped]
    columns = control_columns(Controls(stops=tuple(Stop(kind, name, "", "", 0) for kind, _, name in stops)), bundle)
    approved = planned.approved
    if columns.approved_until_ms is None or not approved:
        return columns
    until = columns.approved_until_ms.copy()
    for k in bundle.reviews:
        if approved == (ALL,) or bundle.offers[k].offer_id in approved:
            until[k] = np.inf
    return replace(columns, approved_until_ms=until)


def _told(bundle: Bundle, values: Sequence[float], at_s: Sequence[int], now_ms: int) -> tuple[list[float], list[float]]:
    """Return what events would have made of the person: what the case says, and what no event makes of the rest."""
    first = bundle.schema.stored_count
    nothing = [0.0 if one.aggregate in ("count", "sum", "distinct") else nan for one in bundle.streams]
    given = [(value, float(at)) for value, at in zip(values[first:], at_s[first:], strict=True)]
    told = [one if not isnan(one[0]) else (usual, now_ms / 1000) for one, usual in zip(given, nothing, strict=True)]
    return [value for value, _ in told], [at for _, at in told]


def _columns(person: Person, schema: InputSchema, now_ms: int) -> tuple[list[float], list[int]]:
    values, at_s = [], []
    profile = person.profile or {}
    for column in schema.profile:
        name = column.name.removeprefix("profile.")
        value = profile.get(name)
        if column.type is InputType.TIMESTAMP and value is not None:
            value = moment_ms(value, now_ms)
        values.append(column.encode(value))
        stored = person.ages.get(name, person.stored)
        at_s.append(max(moment_ms(stored or "now", now_ms) // 1000, 0))
    return values, at_s
