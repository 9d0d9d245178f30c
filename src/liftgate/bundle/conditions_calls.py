"""Functions of conditions: has, int, double, timestamp, duration, startsWith, endsWith, contains, size."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from liftgate.bundle.conditions_lexer import Flaw
from liftgate.bundle.conditions_parser import Call, Literal, Name, Node
from liftgate.bundle.conditions_program import FIRST_MS, LAST_MS, LONGEST_MS, Builder, Truth
from liftgate.bundle.conditions_types import Bool, Number, OfferConstants, Scope, Text, Type, Value
from liftgate.bundle.duration import timestamp_ms

_NAN = float("nan")
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
}
_DURATION = re.compile(r"([-+]?)((?:[0-9]+(?:\.[0-9]+)?(?:h|ms|m|s))+)")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")
_UNIT_MS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?(Z|[-+][0-9]{2}:[0-9]{2})")
_KNOWN = "has, int, double, timestamp, duration, startsWith, endsWith, contains, size"


class Flawed(Exception):
    """A part has a flaw, which is noted already."""


class Calls:
    """The part of the checker that knows functions, and what all its parts lean on."""

    def __init__(self, text: str, scope: Scope, offer: OfferConstants) -> None:
        self.text = text
        self.scope = scope
        self.offer = offer
        self.program = Builder()
        self.flaws: list[Flaw] = []
        self.tainted = False

    def compute(self, node: Node) -> Value:
        """Return the value of a part. Raises Flawed once its flaw is noted."""
        raise NotImplementedError

    def value(self, node: Node) -> Value | None:
        """Return the value of a part; None: it has a flaw, which is noted."""
        try:
            return self.compute(node)
        except Flawed:
            return None

    def need(self, *nodes: Node) -> list[Value]:
        """Return the values of several parts, each looked at before any flaw stops the whole."""
        values = [self.value(node) for node in nodes]
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            raise Flawed
        return found

    def note(self, node: Node, problem: str, mend: str) -> None:
        """Note a flaw at a node and go on."""
        self.flaws.append(Flaw(node.span.start + 1, problem, mend))

    def flaw(self, node: Node, problem: str, mend: str) -> NoReturn:
        """Note a flaw at a node and give the node up."""
        self.note(node, problem, mend)
        raise Flawed

    def taint(self) -> NoReturn:
        """Note that a name's own definition is wrong, so that nothing here can be judged."""
        self.tainted = True
        raise Flawed

    def quote(self, node: Node) -> str:
        """Return what was written for a node."""
        return self.text[node.span.start : node.span.end]

    def call(self, node: Call) -> Value:
        """Return the value of a function call."""
        if node.target is not None:
            return self._method(node, node.target)
        if len(node.arguments) != 1:
            self.flaw(node, f"`{node.name}` wants one argument", f"functions: {_KNOWN}")
        argument = node.arguments[0]
        if node.name == "has":
            return self._has(node, argument)
        if node.name in ("timestamp", "duration"):
            return self._constant(node, argument)
        if node.name == "size":
            return self._size(node, argument)
        if node.name in ("int", "double"):
            return self._convert(node, argument)
        self.flaw(node, f"there is no function `{node.name}`", f"functions: {_KNOWN}")

    def _has(self, node: Call, argument: Node) -> Value:
        if not isinstance(argument, Name) or argument.root not in ("profile", "context") or not argument.field:
            self.flaw(node, "`has` wants a feature or a context input", "write, for example, `has(profile.age)`")
        self.need(argument)
        register = self.program.column(self.scope.schema.index[argument.text])
        there = self.program.emit("equal", register, register)
        return Bool(Truth(there, self.program.emit("not", there)))

    def _constant(self, node: Call, argument: Node) -> Value:
        if not isinstance(argument, Literal) or not isinstance(argument.value, str):
            example = "2026-11-01T00:00:00Z" if node.name == "timestamp" else "72h"
            self.flaw(node, f"`{node.name}` wants a string literal", f'write, for example, `{node.name}("{example}")`')
        try:
            if node.name == "timestamp":
                return Number(self.program.constant(float(_moment_ms(argument.value))), Type.TIMESTAMP)
            return Number(self.program.constant(float(_span_ms(argument.value))), Type.DURATION)
        except ValueError as err:
            problem, _, mend = str(err).partition("; ")
            self.flaw(argument, problem, mend)

    def _convert(self, node: Call, argument: Node) -> Value:
        (value,) = self.need(argument)
        if not isinstance(value, Number) or value.type not in (Type.INT, Type.DOUBLE):
            self.flaw(node, f"`{node.name}` wants an int or a double, not {value.type.value}", "remove the call")
        if node.name == "int" and value.type is Type.DOUBLE:
            return Number(self.program.emit("truncate", value.register), Type.INT)
        return Number(value.register, Type.INT if node.name == "int" else Type.DOUBLE)

    def _size(self, node: Call, argument: Node) -> Value:
        text = self._text(node, argument)
        if text.constant is not None:
            return Number(self.program.constant(float(len(text.constant))), Type.INT)
        return Number(self._per_value(text, [float(len(value)) for value in text.values]), Type.INT)

    def _method(self, node: Call, target: Node) -> Value:
        if node.name == "size" and not node.arguments:
            return self._size(node, target)
        if node.name not in _TESTS:
            self.flaw(node, f"there is no function `.{node.name}`", f"functions: {_KNOWN}")
        part = node.arguments[0] if len(node.arguments) == 1 else None
        if not isinstance(part, Literal) or not isinstance(part.value, str):
            self.flaw(node, f"`{node.name}` wants one string literal", f'write, for example, `.{node.name}("de")`')
        text = self._text(node, target)
        test = _TESTS[node.name]
        if text.constant is not None:
            return Bool(self.program.truth(test(text.constant, part.value)))
        answers = self._per_value(text, [float(test(value, part.value)) for value in text.values])
        one, zero = self.program.constant(1.0), self.program.constant(0.0)
        return Bool(Truth(self.program.emit("equal", answers, one), self.program.emit("equal", answers, zero)))

    def _text(self, node: Call, argument: Node) -> Text:
        (value,) = self.need(argument)
        if not isinstance(value, Text):
            self.flaw(node, f"`{node.name}` wants a string, not {value.type.value}", "use it on a string feature")
        if not value.declared:
            mend = f"add `values: [...]` to `{self.quote(argument)}` in `context:`"
            self.flaw(node, f"`{node.name}` wants a string with declared values", mend)
        return value

    def _per_value(self, text: Text, answers: list[float]) -> int:
        """Return a column of one answer for each declared value; unknown for any other text."""
        table = self.program.constant((_NAN, *answers, _NAN))
        return self.program.emit("lookup", table, self._shifted(text))

    def _shifted(self, text: Text) -> int:
        """Return codes from 0: any other text; 1 and up: the declared values."""
        return self.program.emit("add", text.register, self.program.constant(1.0))

    def _table_truth(self, left: Text, right: Text) -> Truth:
        """Say whether two string columns are equal. Text that neither declares might be: unknown."""
        answers: list[float] = []
        for a in (None, *left.values):
            for b in (None, *right.values):
                if a is None and b is None:
                    answers.append(_NAN)
                elif a is None:
                    answers.append(0.0 if b in left.values else _NAN)
                elif b is None:
                    answers.append(0.0 if a in right.values else _NAN)
                else:
                    answers.append(float(a == b))
        emit, constant = self.program.emit, self.program.constant
        row = emit("multiply", self._shifted(left), constant(float(len(right.values) + 1)))
        result = emit("lookup", constant((*answers, _NAN)), emit("add", row, self._shifted(right)))
        return Truth(emit("equal", result, constant(1.0)), emit("equal", result, constant(0.0)))


def _moment_ms(text: str) -> int:
    example = 'write, for example, "2026-11-01T00:00:00Z"'
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(f'"{text[:40]}" is no RFC 3339 time in whole milliseconds; {example}')
    try:
        at = timestamp_ms(text)
    except ValueError as err:
        raise ValueError(f'"{text[:40]}" {err}; {example}') from None
    if not FIRST_MS <= at <= LAST_MS:
        raise ValueError(f'"{text[:40]}" lies outside the years 1 to 9999; {example}')
    return at


def _span_ms(text: str) -> int:
    match = _DURATION.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        days = re.fullmatch(r"([0-9]{1,5})d", text)
        mend = f'CEL knows no days: write "{int(days[1]) * 24}h"' if days else 'write, for example, "72h" or "1h30m"'
        raise ValueError(f'"{text[:40]}" is no duration; {mend}')
    thousandths = sum(round(float(number) * 1_000_000) * _UNIT_MS[unit] for number, unit in _DURATION_PART.findall(match[2]))
    ms, rest = divmod(thousandths, 1_000_000)
    if rest or ms > LONGEST_MS:
        raise ValueError(f'"{text}" is not in whole milliseconds up to 292 years; write a coarser or shorter duration')
    return -ms if match[1] == "-" else ms
