"""What a bundle says about events, compiled: classes of signals, names of custom events, properties, lateness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from liftgate.bundle.schema_events import EventProperty, LateAfter, SignalRule
from liftgate.bundle.sections import Draft
from liftgate.domain.event import CLASS_NAMES, KIND_NAMES, EventKind, Reliability
from liftgate.domain.input import InputType


@dataclass(frozen=True, slots=True)
class EventRules:
    """Reliability, names, properties and lateness."""

    classes: tuple[int, ...] = (Reliability.RELIABLE,) * len(EventKind)
    """Reliability by kind number; of custom events see `custom`."""
    custom: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Reliability by name of every custom event that there is."""
    properties: Mapping[str, InputType] = field(default_factory=lambda: MappingProxyType({}))
    """Type by name of the properties that are kept."""
    late_after_ms: int | None = None
    """None: no event is late."""


def event_rules(draft: Draft) -> EventRules:
    """Return what a draft says."""
    signals = draft.section("signals", SignalRule)
    classes = [Reliability.RELIABLE] * len(EventKind)
    for name, rule in signals.items():
        if name in KIND_NAMES:
            classes[KIND_NAMES[name]] = CLASS_NAMES[rule.reliability]
    late = draft.entries["events"].get("late_after")
    return EventRules(
        classes=tuple(map(int, classes)),
        custom=MappingProxyType({name: int(CLASS_NAMES[rule.reliability]) for name, rule in signals.items() if name not in KIND_NAMES}),
        properties=MappingProxyType(
            {name: InputType(entry.type) for name, entry in draft.section("event_properties", EventProperty).items()}
        ),
        late_after_ms=late.root if isinstance(late, LateAfter) else None,
    )


def check_events(draft: Draft) -> None:
    """Note what means nothing: the kind `custom` itself has no class, its names have."""
    if "custom" in draft.entries["signals"]:
        draft.refuse(("signals", "custom"), "`custom` is not a signal of its own", "name the custom event: `signals: {loyalty_join: {}}`")


def events_form(draft: Draft) -> dict[str, Any]:
    """Return what the digest has of it, where it is used: bundles without it keep their digests."""
    found: dict[str, dict[str, Any]] = {
        "signals": {name: rule.model_dump() for name, rule in draft.section("signals", SignalRule).items()},
        "event_properties": {name: entry.model_dump() for name, entry in draft.section("event_properties", EventProperty).items()},
        "events": {name: part.model_dump() for name, part in draft.entries["events"].items()},
    }
    return {section: entries for section, entries in found.items() if entries}
