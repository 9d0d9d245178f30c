"""Conditions: a subset of CEL, typed against the bundle's inputs and compiled to column functions. See docs/bundle.md."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.bundle.conditions_check import Checker
from liftgate.bundle.conditions_lexer import ConditionError, Flaw, canonical
from liftgate.bundle.conditions_parser import Binary, ListOf, Literal, Name, Node, parse, walk
from liftgate.bundle.conditions_program import ColumnCondition
from liftgate.bundle.conditions_types import Bool, OfferConstants, Scope

__all__ = [
    "ColumnCondition",
    "ConditionError",
    "Flaw",
    "Name",
    "Node",
    "OfferConstants",
    "Scope",
    "canonical",
    "compared_texts",
    "compile_condition",
    "input_names",
    "names_offer",
    "parse",
    "walk",
]


class Tainted(Exception):
    """The condition names an input whose own definition is wrong, so it cannot be judged."""


def names_offer(node: Node) -> bool:
    """Say whether a condition depends on the offer that it stands in."""
    return any(isinstance(part, Name) and part.root == "offer" for part in walk(node))


def input_names(node: Node) -> tuple[str, ...]:
    """Return the inputs that a condition names, `now` included, in order, each once."""
    return tuple(dict.fromkeys(part.text for part in walk(node) if isinstance(part, Name) and part.root != "offer"))


def compared_texts(node: Node, offer: OfferConstants) -> Iterator[tuple[str, str]]:
    """Yield (input name, text) for every string that an input is compared with by `==`, `!=` or `in`."""
    for part in walk(node):
        if not isinstance(part, Binary) or part.operator not in ("==", "!=", "in"):
            continue
        for one, other in ((part.left, part.right), (part.right, part.left)):
            if isinstance(one, Name):
                for item in other.items if isinstance(other, ListOf) else (other,):
                    text = _text(item, offer)
                    if text is not None:
                        yield one.text, text


def _text(node: Node, offer: OfferConstants) -> str | None:
    if isinstance(node, Literal) and isinstance(node.value, str):
        return node.value
    return {"offer.id": offer.offer_id, "offer.group": offer.group}.get(node.text) if isinstance(node, Name) else None


def compile_condition(text: str, node: Node, scope: Scope, offer: OfferConstants) -> ColumnCondition:
    """Return the column function of a parsed condition. Raises ConditionError with every flaw, or Tainted."""
    checker = Checker(text, scope, offer)
    value = checker.value(node)
    if value is not None and not isinstance(value, Bool):
        checker.note(node, f"the condition is {value.type.value}, not bool", "compare it with something")
    if checker.flaws:
        raise ConditionError(*checker.flaws)
    if checker.tainted:
        raise Tainted
    if not isinstance(value, Bool):
        raise AssertionError("no value without a flaw")
    return checker.program.finish(text, value.truth)
