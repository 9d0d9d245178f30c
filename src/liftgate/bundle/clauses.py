"""Rules as they are written, with their places: what an explanation quotes, and what is kept of a bundle for those that come later.

Whatever stands under a group or an offer is a clause, so a new kind of rule is quoted without a change here. No I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from liftgate.bundle.schema import OfferRule
from liftgate.bundle.sections import HEADS, Draft
from liftgate.bundle.source import Source

NO_CLAUSES = ("group", "payload")
"""Keys of offers and groups that are neither rules nor factors."""
NO_POLICIES = (*HEADS, "features", "context", "purposes", "models", "groups", "offers", "placements", "layers")
"""Sections of a bundle that hold no rules over all offers."""
_MOST_CHARACTERS = 2_000
"""Of one clause that is no plain text."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One rule or factor as written."""

    text: str
    """JSON where it is no plain text; empty: only its place is known."""
    where: str
    """`file:line`."""
    group: str = ""
    """The group that it stands in; empty: the offer itself, or a section of its own."""
    inputs: tuple[str, ...] = ()
    """For a condition: the inputs that it names, `now` included, in order."""


Sections = Mapping[str, tuple[Clause, ...]]
"""Section such as `eligible_if` to its clauses."""
Inputs = Mapping[tuple[str | int, ...], tuple[str, ...]]
"""Path of a condition, such as (offers, card, eligible_if), to the inputs that it names."""
_NONE: Sections = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Clauses:
    """Everything that is written of groups and offers, by name and section."""

    groups: Mapping[str, Sections] = field(default_factory=lambda: MappingProxyType({}))
    offers: Mapping[str, Sections] = field(default_factory=lambda: MappingProxyType({}))
    policies: Sections = field(default_factory=lambda: MappingProxyType({}))
    """By section of the bundle: rules over all offers, each as `name: text`."""

    def section(self, offer_id: str, group: str, section: str) -> tuple[Clause, ...]:
        """Return an offer's clauses of one section, its group's first."""
        own = self.offers.get(offer_id, _NONE).get(section, ())
        return (*self.groups.get(group, _NONE).get(section, ()), *own) if group else own

    def of(self, offer_id: str, group: str) -> dict[str, tuple[Clause, ...]]:
        """Return an offer's clauses by section, its group's first."""
        found = dict(self.groups.get(group, _NONE)) if group else {}
        for section, own in self.offers.get(offer_id, _NONE).items():
            found[section] = (*found.get(section, ()), *own)
        return found


def clauses(draft: Draft, rule_source: Mapping[tuple[str, int], str], inputs: Inputs) -> Clauses:
    """Return the clauses of a draft without mistakes.

    `rule_source` has further places by (section, offer index): rules in sections of their own that concern the offer. `inputs`: what each
    condition names, by its path.
    """
    groups = {name: dict(_written(draft, "groups", name, inputs)) for name in draft.entries["groups"]}
    offers = {name: dict(_written(draft, "offers", name, inputs)) for name in draft.section("offers", OfferRule)}
    names, texts = list(offers), _Places(draft)
    for (section, index), places in rule_source.items():
        group = getattr(draft.entries["offers"][names[index]], "group", None)
        shared = groups.get(group or "", {}).get(section, ())
        own = offers[names[index]].get(section, ())
        known = {clause.where for clause in (*shared, *own)}
        further = tuple(Clause(texts.at(place), place) for place in places.split(", ") if place not in known)
        if further:
            offers[names[index]][section] = (*own, *further)
    return Clauses(MappingProxyType(groups), MappingProxyType(offers), MappingProxyType(_policies(texts.sources.values())))


def _policies(sources: Iterable[Source]) -> dict[str, tuple[Clause, ...]]:
    found: dict[str, tuple[Clause, ...]] = {}
    for source in sources:
        for section, value in source.value.items() if isinstance(source.value, dict) else ():
            if section in NO_POLICIES or value is None:
                continue
            named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else [("", value)]
            entries = [((section, name) if name != "" else (section,), name, entry) for name, entry in named]
            found[section] = (
                *found.get(section, ()),
                *(
                    Clause(
                        f"{name}: {_text(entry)}" if isinstance(name, str) and name else _text(entry),
                        f"{source.file}:{source.locate(path)[1]}",
                    )
                    for path, name, entry in entries
                ),
            )
    return found


def _written(draft: Draft, kind: str, name: str, inputs: Inputs) -> Iterator[tuple[str, tuple[Clause, ...]]]:
    source = draft.owner[kind, name]
    entry = source.value[kind][name]
    group = name if kind == "groups" else ""
    for key, value in entry.items() if isinstance(entry, dict) else ():
        if key in NO_CLAUSES or value is None or value == []:
            continue
        if isinstance(value, list) and isinstance(value[0], dict):
            places = [(item, (kind, name, key, i)) for i, item in enumerate(value)]
            yield key, tuple(Clause(_text(item), draft.where(path), group) for item, path in places)
        else:
            yield key, (Clause(_text(value), draft.where((kind, name, key)), group, inputs.get((kind, name, key), ())),)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."


class _Places:
    """What stands at a place, for rules that lie in sections of their own."""

    def __init__(self, draft: Draft) -> None:
        self.sources: Mapping[str, Source] = {source.file: source for source in draft.owner.values()}
        self._known: dict[str, str] = {}

    def at(self, place: str) -> str:
        """Return the text of the outermost value at `file:line`; empty: nothing is known there."""
        if place not in self._known:
            file, _, line = place.rpartition(":")
            source = self.sources.get(file)
            paths = [path for path, at in source.lines.items() if str(at) == line] if source else []
            self._known[place] = _text(_value(source.value, min(paths, key=len))) if source and paths else ""
        return self._known[place]


def _value(value: Any, path: Sequence[str | int]) -> Any:
    for segment in path:
        try:
            value = value[segment]
        except (KeyError, IndexError, TypeError):
            return ""
    return value
