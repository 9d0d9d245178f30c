"""Conditions of groups and offers, compiled once each: equal ones become one Rule over all their offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from liftgate.bundle.compiled import Rule
from liftgate.bundle.conditions import (
    ColumnCondition,
    ConditionError,
    Node,
    OfferConstants,
    Scope,
    Tainted,
    compared_texts,
    compile_condition,
    input_names,
    names_offer,
    parse,
)
from liftgate.bundle.schema import Group, OfferRule
from liftgate.bundle.sections import Draft
from liftgate.domain.offer import Indices

KINDS = ("eligible_if", "applicable_if", "suitable_if", "suppress_if")
"""Sections of conditions, in the order in which they are judged."""
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """One condition as written, and an offer that it governs."""

    kind: str
    path: Path
    text: str
    node: Node
    offer: OfferConstants
    index: int
    """Of the offer; -1: a group's own, written down for checking only."""


@dataclass(slots=True)
class Rules:
    """Compiled conditions."""

    eligible_if: tuple[Rule, ...] = ()
    applicable_if: tuple[Rule, ...] = ()
    suitable_if: tuple[Rule, ...] = ()
    suppress_if: tuple[Rule, ...] = ()
    source: dict[tuple[str, int], str] = field(default_factory=dict)
    """(kind, offer index) to `file:line` of every condition of that kind, joined by commas."""


def written(draft: Draft) -> list[Written]:
    """Return every condition for every offer that it governs, groups' first. Syntax mistakes are noted once."""
    nodes: dict[str, Node | None] = {}
    seen: set[Path] = set()

    def one(kind: str, path: Path, text: str | None, offer: OfferConstants, index: int) -> Iterator[Written]:
        if text is None:
            return
        if text not in nodes or (nodes[text] is None and path not in seen):
            try:
                nodes[text] = parse(text)
            except ConditionError as err:
                nodes[text] = None
                note(draft, path, err)
        seen.add(path)
        node = nodes[text]
        if node is not None:
            yield Written(kind, path, text, node, offer, index)

    found: list[Written] = []
    groups = draft.section("groups", Group)
    for name, group in groups.items():
        for kind in KINDS:
            found += one(kind, ("groups", name, kind), getattr(group, kind), OfferConstants("", name, 1.0), -1)
    for index, (name, offer) in enumerate(draft.section("offers", OfferRule).items()):
        constants = OfferConstants(name, offer.group or "", offer.value)
        for kind in KINDS:
            if offer.group in groups:
                path = ("groups", str(offer.group), kind)
                found += one(kind, path, getattr(groups[str(offer.group)], kind), constants, index)
            found += one(kind, ("offers", name, kind), getattr(offer, kind), constants, index)
    return found


def texts_of(conditions: list[Written]) -> dict[str, set[str]]:
    """Return, for every input, the strings that conditions compare it with."""
    texts: dict[str, set[str]] = {}
    looked: set[tuple[str, str]] = set()
    for condition in conditions:
        key = (condition.text, condition.offer.offer_id if names_offer(condition.node) else "")
        if key not in looked:
            looked.add(key)
            for name, text in compared_texts(condition.node, condition.offer):
                texts.setdefault(name, set()).add(text)
    return texts


def inputs_of(conditions: list[Written]) -> dict[Path, tuple[str, ...]]:
    """Return, for every condition by its path, the inputs that it names, `now` included, in order."""
    found: dict[Path, tuple[str, ...]] = {}
    for condition in conditions:
        if condition.path not in found:
            found[condition.path] = input_names(condition.node)
    return found


def compile_rules(draft: Draft, conditions: list[Written], scope: Scope) -> Rules:
    """Return the rules. Flaws become mistakes of the draft, each once."""
    rules = Rules()
    compiled: dict[tuple[str, str, str], ColumnCondition | None] = {}
    faulty: set[Path] = set()
    offers: dict[str, dict[object, tuple[ColumnCondition, list[tuple[int, bool]]]]] = {kind: {} for kind in KINDS}
    for item in conditions:
        if item.path in faulty:
            continue
        key = (item.text, "", "") if not names_offer(item.node) else (item.text, item.offer.offer_id, item.offer.group)
        if key not in compiled or compiled[key] is None:
            compiled[key] = _compile(draft, item, scope, faulty)
        condition = compiled[key]
        if condition is not None and item.index >= 0:
            offers[item.kind].setdefault(condition.key, (condition, []))[1].append((item.index, item.path[0] == "groups"))
            where = draft.where(item.path)
            before = rules.source.get((item.kind, item.index))
            rules.source[item.kind, item.index] = f"{before}, {where}" if before else where
    for kind in KINDS:
        setattr(rules, kind, _grouped(offers[kind]))
    return rules


def _compile(draft: Draft, item: Written, scope: Scope, faulty: set[Path]) -> ColumnCondition | None:
    try:
        return compile_condition(item.text, item.node, scope, item.offer)
    except ConditionError as err:
        note(draft, item.path, err)
    except Tainted:
        pass
    faulty.add(item.path)
    return None


def _grouped(found: Mapping[object, tuple[ColumnCondition, list[tuple[int, bool]]]]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            condition,
            _indices(offer for offer, _ in governed),
            _indices(offer for offer, inherited in governed if inherited),
            _indices(offer for offer, inherited in governed if not inherited),
        )
        for condition, governed in found.values()
    )


def _indices(offers: Iterable[int]) -> Indices:
    column = np.array(sorted(set(offers)), dtype=np.intp)
    column.setflags(write=False)
    return column


def note(draft: Draft, path: Path, err: ConditionError) -> None:
    """Add every flaw of a condition to the draft's mistakes."""
    for flaw in err.flaws:
        draft.refuse(path, f"column {flaw.column}: {flaw.problem}", flaw.mend)
