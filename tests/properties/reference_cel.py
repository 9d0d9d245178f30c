"""Conditions evaluated for one person at a time, as plainly as CEL's definition reads: None is unknown."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from tests.properties.expressions import NOW_MS, OFFER, OTHER, SCHEMA, Tree, moment_ms

_COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_TESTS = {"startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__}


def kind_of(tree: Tree) -> str:
    """Return the type of a number."""
    match tree:
        case ("literal", kind, _) | ("convert", kind, _):
            return str(kind)
        case ("input", name):
            return {"float": "double"}.get(kind := SCHEMA.inputs[SCHEMA.index[name]].type.value, kind)
        case ("now",):
            return "timestamp"
        case ("op", sign, left, right):
            kinds = {kind_of(left), kind_of(right)}
            return "duration" if sign == "-" and kinds == {"timestamp"} else max(kinds)
        case ("neg", part) | ("?:", _, part, _):
            return kind_of(part)
    return {"size": "int", "offer.value": "double"}.get(tree[0], "bool")


class Reference:
    """Evaluates trees for one person. `limited` says that a number was given up which CEL itself would keep."""

    def __init__(self, person: dict[str, Any]) -> None:
        self.person = person
        self.limited = False

    def keep(self, number: Any, kind: str) -> Any:
        """Return the number, None where it cannot be trusted or CEL has none."""
        if kind == "double":
            fits = math.isfinite(number)
        elif kind == "timestamp":
            fits = -62_135_596_800_000 <= number <= 253_402_300_799_999
        else:
            fits = abs(number) < (2**53 if kind == "int" else 2**63 / 1_000_000)
        self.limited |= not fits and kind in ("int", "double")
        return number if fits else None

    def evaluate(self, tree: Tree) -> Any:
        """Return the value of a tree."""
        match tree:
            case ("literal", "timestamp" | "duration", value):
                return moment_ms(value)
            case ("literal", _, value):
                return value
            case ("input", name):
                return self.person[name]
            case ("now",):
                return NOW_MS
            case ("offer.value",):
                return OFFER.value
            case ("has", name):
                return self.person[name] is not None
            case ("size", name):
                value = self.person[name]
                return None if value in (None, OTHER) else len(value)
            case ("test", function, name, part):
                value = self.person[name]
                return None if value in (None, OTHER) else _TESTS[function](value, part)
            case ("not", part):
                value = self.evaluate(part)
                return None if value is None else not value
            case ("neg", part):
                value = self.evaluate(part)
                return None if value is None else self.keep(-value, kind_of(part))
            case ("convert", kind, part):
                value = self.evaluate(part)
                return None if value is None else self.keep(int(value) if kind == "int" else float(value), kind)
            case ("&&" | "||" as sign, parts):
                values = [self.evaluate(part) for part in parts]
                absorbing = sign == "||"
                return absorbing if absorbing in values else None if None in values else not absorbing
            case ("?:", test, yes, no):
                chosen = self.evaluate(test)
                return None if chosen is None else self.evaluate(yes if chosen else no)
            case ("in", left, values, _):
                value = self.evaluate(left)
                return None if value is None else value in values
            case ("op", sign, left, right):
                return self.operate(tree, sign, left, right)
        raise AssertionError(tree)

    def operate(self, tree: Tree, sign: str, left: Tree, right: Tree) -> Any:
        """Return the value of a comparison or of arithmetic."""
        a, b = self.evaluate(left), self.evaluate(right)
        if a is None or b is None:
            return None
        if OTHER in (a, b) and left[0] == right[0] == "input":
            # An undeclared text may equal what only the other input declares.
            known = b if a == OTHER else a
            side = left if a == OTHER else right
            return sign == "!=" if known in SCHEMA.inputs[SCHEMA.index[side[1]]].values else None
        if sign in _COMPARE:
            return _COMPARE[sign](a, b)
        kind = kind_of(tree)
        if sign in "/%" and b == 0:
            self.limited |= kind == "double"
            return None
        if kind == "int" and sign in "/%":
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return self.keep(quotient if sign == "/" else a - b * quotient, kind)
        return self.keep(_ARITHMETIC[sign](a, b), kind)
