"""Features that events keep fresh: names and types checked, made into definitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

from liftgate.bundle.mistake import did_you_mean, one_of
from liftgate.bundle.schema import Feature
from liftgate.bundle.schema_events import EventProperty, SignalRule
from liftgate.bundle.schema_features import Bounds, FeatureSource
from liftgate.bundle.sections import Draft
from liftgate.domain.event import CART_ACTIONS, CLASS_NAMES, KIND_NAMES, MONEY_KINDS, EventKind
from liftgate.domain.feature import BUILT_IN, DAY, HOUR, MINUTE, SECOND, Definition, Filter, Source
from liftgate.domain.input import InputSchema

EXACT_UP_TO = 64
_UNITS_MS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_TYPES = {"count": ("int", "float"), "distinct": ("int", "float"), "recency": ("int", "float")}
"""What a feature may be by what it is made of; sum, mean and rate are floats, last and first are what the property is."""


def streamed(features: dict[str, Feature]) -> list[str]:
    """Return the names of the features that events keep fresh, in order."""
    return [name for name, feature in features.items() if feature.from_events is not None]


def check_features(draft: Draft) -> None:
    """Note every signal, property and type that does not fit."""
    for name, feature in draft.section("features", Feature).items():
        if feature.from_events is not None:
            _Check(draft, name, feature, feature.from_events).check()


def definitions(draft: Draft, schema: InputSchema) -> tuple[Definition, ...]:
    """Return the definitions of a draft without mistakes, in the order of their inputs."""
    found = []
    for name, feature in draft.section("features", Feature).items():
        origin = feature.from_events
        if origin is None:
            continue
        index = schema.index[f"profile.{name}"]
        aggregate = origin.aggregate
        per = None if origin.per is None else _source(origin.per, origin)
        found.append(
            Definition(
                input=schema.inputs[index],
                index=index,
                aggregate=aggregate,
                source=_source(getattr(origin, aggregate), origin, told=aggregate in ("sum", "mean", "last", "first", "distinct")),
                per=per,
                window_ms=origin.window or 0,
                half_life_ms=origin.half_life or 0,
                exact_up_to=(origin.exact_up_to or EXACT_UP_TO) if aggregate == "distinct" else 0,
                unit_ms=_UNITS_MS[origin.unit or "s"],
                source_line=draft.where(("features", name)),
            )
        )
    return tuple(found)


def feature_form(origin: FeatureSource) -> dict[str, Any]:
    """Return a source as the digest has it."""
    form = origin.model_dump(exclude_none=True)
    return form | {"refuse": sorted(set(origin.refuse)), "where": {name: _listed(form["where"][name]) for name in form["where"]}}


def _listed(value: Any) -> Any:
    return sorted(value, key=repr) if isinstance(value, list) else value


def _source(text: str, origin: FeatureSource, told: bool = False) -> Source:
    signal, _, name = text.rpartition(".") if told else (text, "", "")
    where = tuple(_filter(key, value) for key, value in sorted(origin.where.items()))
    return Source(signal, name, where, tuple(sorted({CLASS_NAMES[each] for each in origin.refuse})))


def _filter(name: str, value: Any) -> Filter:
    if isinstance(value, Bounds):
        return Filter(name, low=-inf if value.min is None else value.min, high=inf if value.max is None else value.max)
    return Filter(name, tuple(sorted(set(value), key=repr)) if isinstance(value, list) else (value,))


class _Check:
    def __init__(self, draft: Draft, name: str, feature: Feature, origin: FeatureSource) -> None:
        self._draft, self._feature, self._origin = draft, feature, origin
        self._path = ("features", name, "from")
        self._aggregate = origin.aggregate
        self._properties = draft.section("event_properties", EventProperty)

    def check(self) -> None:
        origin, aggregate = self._origin, self._aggregate
        text = str(getattr(origin, aggregate))
        if aggregate in ("sum", "mean", "last", "first", "distinct"):
            signal, _, name = text.rpartition(".")
            kind = self._property(aggregate, name) if self._signal(aggregate, signal) else None
            if kind is not None:
                if name == "value":
                    self._money(aggregate, signal)
                self._typed(aggregate, name, kind)
        else:
            self._signal(aggregate, text)
            self._has_type(_TYPES.get(aggregate, ("float",)))
        if origin.per is not None:
            self._signal("per", origin.per)
        for name, wanted in origin.where.items():
            self._demand(name, wanted)

    def _refuse(self, key: str, problem: str, mend: str) -> None:
        self._draft.refuse((*self._path, key), problem, mend)

    def _signal(self, key: str, name: str) -> bool:
        if name in KIND_NAMES and name != "custom":
            return True
        if self._draft.knows("signals", name) and name != "custom":
            return True
        known = {*KIND_NAMES, *self._draft.section("signals", SignalRule)} - {"custom"}
        mend = did_you_mean(name, known, f"declare it: `signals: {{{name}: {{}}}}`")
        self._refuse(key, f"there is no signal `{name}`", mend)
        return False

    def _property(self, key: str, name: str) -> str | None:
        """Return the type of a property; None: there is no such, which is noted."""
        if name in BUILT_IN:
            return "float" if name == "value" else "string"
        found = self._properties.get(name)
        if found is None and not self._draft.knows("event_properties", name):
            known = {*BUILT_IN, *self._properties}
            mend = did_you_mean(name, known, f"declare it in `event_properties:` ({one_of(known)})")
            self._refuse(key, f"events have no property `{name}`", mend)
        return None if found is None else found.type

    def _money(self, key: str, signal: str) -> None:
        if signal in KIND_NAMES and KIND_NAMES[signal] not in MONEY_KINDS:
            kinds = [kind.name.lower() for kind in EventKind if kind in MONEY_KINDS]
            self._refuse(
                key, f"`{signal}` carries no money", f"name a property of its own, or a signal that may carry it ({', '.join(kinds)})"
            )

    def _typed(self, key: str, name: str, kind: str) -> None:
        if key in ("sum", "mean"):
            if kind not in ("int", "float"):
                self._refuse(key, f"`{name}` is a {kind}, no number", "name a property of type int or float")
            self._has_type(("float",))
        elif key == "distinct":
            self._has_type(_TYPES["distinct"])
        else:
            self._has_type(("int", "float") if kind == "int" else (kind,))

    def _has_type(self, wanted: Sequence[str]) -> None:
        kind = self._feature.type
        if kind not in wanted:
            problem = f"`{self._aggregate}` gives {' or '.join(wanted)}, and the feature is of type {kind}"
            self._draft.refuse((*self._path[:2], "type"), problem, f"write `type: {wanted[0]}`")

    def _demand(self, name: str, wanted: Any) -> None:
        kind = self._property("where", name)
        if kind is None:
            return
        values = wanted if isinstance(wanted, list) else [] if isinstance(wanted, Bounds) else [wanted]
        if isinstance(wanted, Bounds) and kind in ("string", "bool"):
            self._refuse("where", f"`{name}` is a {kind} and has no bounds", "list the values that it may have")
        if isinstance(wanted, list) and not wanted:
            self._refuse("where", f"`{name}` allows nothing", "list the values that it may have")
        for value in values:
            fits = (
                isinstance(value, str) if kind == "string" else isinstance(value, bool) == (kind == "bool") and not isinstance(value, str)
            )
            if not fits:
                self._refuse("where", f"`{name}` is a {kind}, and {value!r} is none", f"write a {kind}")
            elif name in ("offer", "group"):
                self._draft.refer((*self._path, "where", name), f"{name}s", str(value))
            elif name == "name" and "cart_action" in self._named() and value not in CART_ACTIONS:
                self._refuse("where", f"there is no cart action `{value}`", did_you_mean(str(value), CART_ACTIONS, one_of(CART_ACTIONS)))

    def _named(self) -> Iterable[str]:
        return [str(getattr(self._origin, self._aggregate)).split(".")[0]]
