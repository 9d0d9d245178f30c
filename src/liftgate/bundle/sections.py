"""Files to sections: merged by name, validated entry by entry, so that one mistake does not hide another. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from liftgate.bundle.conditions_lexer import RESERVED
from liftgate.bundle.field_types import FEATURE_PATTERN, NAME_PATTERN
from liftgate.bundle.mistake import Caution, Mistake, did_you_mean, one_of
from liftgate.bundle.schema import (
    MAX_OFFERS,
    BundleDocument,
    ContextInput,
    Feature,
    Group,
    ModelPin,
    OfferRule,
    PlacementRule,
)
from liftgate.bundle.schema_caps import ContactChannels, ContactPolicy
from liftgate.bundle.schema_consent import ChannelPermission, Purpose
from liftgate.bundle.schema_events import EventProperty, LateAfter, SignalRule
from liftgate.bundle.schema_layers import LayerRule, model_of
from liftgate.bundle.schema_review import ReachAbove, ReviewPolicy, ReviewRule, ValueAbove
from liftgate.bundle.schema_suppression import ExclusionRule, GuardrailMode, ListRule, QuietHours
from liftgate.bundle.source import Source, dotted
from liftgate.bundle.wording import explain

M = TypeVar("M", bound=BaseModel)

HEADS = ("bundle", "currency", "time_zone", "profile_purpose")
OPTIONAL_HEADS = ("experiment_purpose",)
SECTIONS: Mapping[str, type[BaseModel]] = {
    "features": Feature,
    "context": ContextInput,
    "purposes": Purpose,
    "channel_permissions": ChannelPermission,
    "models": ModelPin,
    "groups": Group,
    "offers": OfferRule,
    "placements": PlacementRule,
    "guardrails": GuardrailMode,
    "lists": ListRule,
    "exclusions": ExclusionRule,
    "contact_policy": ContactPolicy,
    "review_classes": ReviewRule,
    "review_policy": ReviewPolicy,
    "signals": SignalRule,
    "event_properties": EventProperty,
    "events": LateAfter,
    "layers": LayerRule,
}
PARTS: Mapping[str, Mapping[str, type[BaseModel]]] = {
    "contact_policy": {"channels": ContactChannels, "quiet_hours": QuietHours},
    "events": {"late_after": LateAfter},
    "review_policy": {"value_above": ValueAbove, "reach_above": ReachAbove},
}
"""Sections whose entries are not alike: the model of each."""
_PLACEHOLDERS: Mapping[str, Mapping[str, Any]] = {
    "context": {},
    "features": {},
    "groups": {},
    "offers": {"value": 1.0},
    "placements": {"offers": "all", "select": {"policy": "epsilon_greedy", "epsilon": 0.1}},
}
_TYPED = frozenset({"type", "values", "from"})
"""What an input is: with a mistake in it nothing can be said of conditions that read it."""
Place = Sequence[str | int]


@dataclass(slots=True)
class Draft:
    """What the files say: valid entries by section, and every mistake so far."""

    head: dict[str, str] = field(default_factory=dict)
    entries: dict[str, dict[str, BaseModel]] = field(default_factory=lambda: {section: {} for section in SECTIONS})
    refused: dict[str, set[str]] = field(default_factory=lambda: {section: set() for section in SECTIONS})
    """Names that are defined with a mistake in them: referring to them is no second mistake."""
    broken: bool = False
    """A file could not be read: unknown names prove nothing."""
    mistakes: list[Mistake] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)
    owner: dict[tuple[str, ...], Source] = field(default_factory=dict)
    """(head key,) or (section, name) to the file that defines it."""
    patched: set[tuple[str | int, ...]] = field(default_factory=set)
    """Values with a mistake that a placeholder stands in for, so that the rest of their entry is judged too."""
    first: str = ""
    """File to name for what no file holds."""

    def section(self, name: str, kind: type[M]) -> dict[str, M]:
        """Return a section's valid entries, sorted by name."""
        found = self.entries[name]
        return {key: entry for key in sorted(found) if isinstance(entry := found[key], kind)}

    def knows(self, section: str, name: str) -> bool:
        """Say whether a name is defined, or might be in a file or entry that could not be read."""
        return self.broken or name in self.entries[section] or name in self.refused[section]

    def place(self, path: Place) -> tuple[str, int]:
        """Return the file and line of the nearest thing that is written."""
        keys = tuple(str(key) for key in path)
        source = self.owner.get(keys[:2]) or self.owner.get(keys[:1])
        return (source.file, source.locate(path)[1]) if source else (self.first, 0)

    def where(self, path: Place) -> str:
        """Return `file:line`."""
        file, line = self.place(path)
        return f"{file}:{line}"

    def refuse(self, path: Place, problem: str, mend: str) -> None:
        """Add a mistake at a path, unless a placeholder stands there."""
        if tuple(path[:3]) in self.patched:
            return
        file, line = self.place(path)
        self.mistakes.append(Mistake(file, line, dotted(path), problem, mend))

    def caution(self, path: Place, text: str) -> None:
        """Add a caution at a path."""
        file, line = self.place(path)
        self.cautions.append(Caution(file, line, dotted(path), text))

    def refer(self, path: Place, section: str, name: str) -> bool:
        """Say whether a name refers to something valid; an unknown one is a mistake."""
        if not self.knows(section, name):
            noun = section.removesuffix("s")
            known = {*self.entries[section], *self.refused[section]}
            mend = did_you_mean(name, known, f"define it in `{section}:` ({one_of(known)})")
            self.refuse(path, f"there is no {noun} `{name}`", mend)
        return name in self.entries[section]


def read(sources: Iterable[Source], first: str) -> Draft:
    """Return what the files say together. `first` names the folder in mistakes that no file holds."""
    draft = Draft(first=first)
    raws: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for source in sources:
        draft.mistakes += source.mistakes
        draft.broken |= source.broken
        if source.broken:
            continue
        if source.value is None:
            continue
        if not isinstance(source.value, dict):
            draft.mistakes.append(Mistake(source.file, 1, "", "is no mapping of sections", "start with a section such as `offers:`"))
            draft.broken = True
            continue
        for key, value in source.value.items():
            _take(draft, raws, source, key, value)
    _heads(draft)
    for section, model in SECTIONS.items():
        for name, value in raws[section].items():
            if section in PARTS and name not in PARTS[section]:
                draft.refused[section].add(name)
                mend = did_you_mean(name, PARTS[section], f"remove it ({one_of(PARTS[section])})")
                draft.refuse((section, name), "is not known here", mend)
                continue
            kind = model_of(value) if section == "layers" else PARTS.get(section, {}).get(name, model)
            _entry(draft, section, name, value, kind)
    for section in ("offers", "placements"):
        if not raws[section] and not draft.broken:
            draft.refuse((section,), "is missing", f"add `{section}:` with at least one entry")
    if len(raws["offers"]) > MAX_OFFERS:
        draft.refuse(("offers",), f"holds {len(raws['offers'])} offers, more than {MAX_OFFERS}", "split the bundle")
    return draft


def _take(draft: Draft, raws: dict[str, dict[str, Any]], source: Source, key: str, value: Any) -> None:
    line = source.lines[(key,)]
    if key in HEADS or key in OPTIONAL_HEADS:
        if (key,) in draft.owner:
            mend = f"keep one of the two (first in {draft.where((key,))})"
            draft.mistakes.append(Mistake(source.file, line, key, "is defined twice", mend))
            return
        draft.owner[(key,)] = source
        draft.head[key] = value
    elif key in SECTIONS:
        if value is None:
            return
        if not isinstance(value, dict):
            draft.broken = True
            draft.mistakes.append(Mistake(source.file, line, key, "wants a mapping of names", f"write `{key}:` and the names below it"))
            return
        draft.owner.setdefault((key,), source)
        for name, entry in value.items():
            if (key, name) in draft.owner:
                mend = f"keep one of the two (first in {draft.where((key, name))})"
                draft.mistakes.append(Mistake(source.file, source.lines[key, name], f"{key}.{name}", "is defined twice", mend))
                continue
            draft.owner[key, name] = source
            raws[key][name] = entry
    else:
        known = (*HEADS, *OPTIONAL_HEADS, *SECTIONS)
        mend = did_you_mean(key, known, f"remove it ({one_of(known, 20)})")
        draft.mistakes.append(Mistake(source.file, line, key, "is no section of a bundle", mend))


def _heads(draft: Draft) -> None:
    for key in (*HEADS, *OPTIONAL_HEADS):
        info = BundleDocument.model_fields[key]
        if key not in draft.head:
            if not draft.broken and key in HEADS:
                draft.refuse((key,), "is missing", f"add `{key}: {(info.examples or [''])[0]}`")
            continue
        adapter: TypeAdapter[str] = TypeAdapter(info.rebuild_annotation())
        try:
            adapter.validate_python(draft.head[key], strict=True)
        except ValidationError as err:
            del draft.head[key]
            for path, problem, mend in explain(err, BundleDocument, (key,)):
                draft.refuse(path, problem, mend)


def _entry(draft: Draft, section: str, name: str, value: Any, model: type[BaseModel]) -> None:
    if not _named(draft, section, name):
        draft.refused[section].add(name)
        return
    try:
        draft.entries[section][name] = model.model_validate({} if value is None else value)
    except ValidationError as err:
        draft.refused[section].add(name)
        for path, problem, mend in explain(err, model, ()):
            draft.refuse((section, name, *path), problem, mend)
        _patch(draft, section, name, value, err)


def _patch(draft: Draft, section: str, name: str, value: Any, err: ValidationError) -> None:
    """Keep an entry with placeholders for its wrong values, where that is possible: its other mistakes are worth knowing."""
    if section not in _PLACEHOLDERS or not isinstance(value, dict):
        return
    wrong = {str(finding["loc"][0]) for finding in err.errors() if finding["loc"]}
    inputs = section in ("features", "context")
    if inputs and wrong & _TYPED:
        return
    # What only means something beside a wrong value goes with it.
    wrong |= {"on_stale"} if inputs and "max_age" in wrong else set()
    patched = {key: item for key, item in value.items() if key not in wrong}
    patched |= {key: item for key, item in _PLACEHOLDERS[section].items() if key in wrong}
    try:
        draft.entries[section][name] = SECTIONS[section].model_validate(patched)
    except ValidationError:
        return
    draft.patched |= {(section, name, key) for key in wrong}
    if inputs:
        # Its type is known: conditions on it are checked as any other.
        draft.refused[section].discard(name)


def _named(draft: Draft, section: str, name: str) -> bool:
    if section in ("features", "context", "event_properties"):
        if not re.fullmatch(FEATURE_PATTERN[1:-1], name):
            mend = "write lower-case letters, digits and `_`, beginning with a letter; at most 64"
            draft.refuse((section, name), f"`{name}` is no name that conditions can say", mend)
            return False
        if name in RESERVED:
            draft.refuse((section, name), f"`{name}` is a word that CEL keeps for itself", f"call it, for example, `{name}_value`")
            return False
    elif not re.fullmatch(NAME_PATTERN[1:-1], name):
        mend = "write letters, digits, `.`, `_` and `-`, beginning with a letter or digit; at most 128"
        draft.refuse((section, name), f"`{name}` is no valid name", mend)
        return False
    elif section == "purposes" and name == "none":
        draft.refuse((section, name), "`none` says that no purpose is needed", "call the purpose something else")
        return False
    return True
