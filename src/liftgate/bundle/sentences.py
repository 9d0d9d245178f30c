"""Conditions as sentences, where they are simple; whoever cannot read CEL reads these. Pure."""

from __future__ import annotations

import re

from liftgate.bundle.conditions import Node, parse
from liftgate.bundle.conditions_lexer import Kind, tokens
from liftgate.bundle.conditions_parser import Binary, Call, ListOf, Literal, Logic, Name, Unary

_COMPARED = {"==": "is", "!=": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least", "in": "is"}
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_AGO = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}
_NEGATED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_UNITS = {"h": "hour", "m": "minute", "s": "second"}
_MOST_DEPTH = 2
_NO_SPACE_BEFORE = frozenset({".", ",", ")", "]"})
_NO_SPACE_AFTER = frozenset({".", "!", "(", "["})
_OPERATORS = frozenset({"==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "-", "*", "/", "%", "?", ":", "in", ","})


def sentence(text: str) -> str | None:
    """Return a condition in words, `their age is at least 18, and ...`; None: it is not simple enough, and should be quoted."""
    return _said(parse(text), 0)


def tidy(text: str) -> str:
    """Return a condition in one line, spaced as people write it, from any layout or the canonical one. Raises ConditionError."""
    found, before = "", ""
    for token in tokens(text)[:-1]:
        close = token.text in _NO_SPACE_BEFORE or before in _NO_SPACE_AFTER or (token.text == "(" and before not in _OPERATORS)
        found += token.text if close or not found else f" {token.text}"
        before = "!" if token.text == "-" and (not before or before in _OPERATORS or before in ("(", "[", ",")) else token.text
        if token.kind is Kind.STRING:
            before = "text"
    return found


def _said(node: Node, depth: int) -> str | None:
    match node:
        case Logic(operator=operator, operands=operands):
            parts = [_said(one, depth + 1) for one in operands]
            if depth >= _MOST_DEPTH or any(part is None for part in parts):
                return None
            joined = f"{', ' if operator == '&&' else ' '}{'and' if operator == '&&' else 'or'} ".join(part or "" for part in parts)
            return joined if not depth else f"(either {joined})" if operator == "||" else f"(both {joined})"
        case Unary(operator="!", operand=operand):
            return _negated(operand)
        case Binary(operator=operator, left=left, right=right) if operator in _COMPARED:
            return _compared(operator, left, right)
        case Call(name="has", arguments=(Name() as name,)):
            return f"{_name(name)} is known"
        case Name(root=root) as name if root in ("profile", "context"):
            return f"{_yes_or_no(name)} is true"
        case Literal(value=bool() as value):
            return "always" if value else "never"
        case _:
            return None


def _negated(node: Node) -> str | None:
    match node:
        case Call(name="has", arguments=(Name() as name,)):
            return f"{_name(name)} is not known"
        case Name(root=root) as name if root in ("profile", "context"):
            return f"{_yes_or_no(name)} is false"
        case Binary(operator="in", left=Name() as name, right=ListOf(items=items)):
            values = _values(items)
            return None if values is None else f"{_name(name)} is not {values}"
        case Binary(operator=operator, left=left, right=right) if operator in _NEGATED:
            return _compared(_NEGATED[operator], left, right)
        case _:
            return None


def _compared(operator: str, left: Node, right: Node) -> str | None:
    if operator == "in":
        values = _values(right.items) if isinstance(right, ListOf) else None
        return f"{_name(left)} is {values}" if isinstance(left, Name) and values is not None else None
    if isinstance(left, Literal) and operator in _SWAPPED:
        left, right, operator = right, left, _SWAPPED[operator]
    if isinstance(left, Binary) and left.operator == "-" and isinstance(left.left, Name) and left.left.text == "now":
        span = _duration(right)
        if isinstance(left.right, Name) and span is not None and operator in _AGO:
            return f"{_name(left.right)} is {_AGO[operator]} {span} ago"
        return None
    value = _value(right)
    if not isinstance(left, Name) or value is None:
        return None
    return f"{_name(left)} {_COMPARED[operator]} {value}"


def _name(name: Node) -> str:
    if not isinstance(name, Name):
        return ""
    words = name.field.replace("_", " ")
    return {"profile": f"their {words}", "context": f"the request's {words}", "offer": f"the offer's {words}"}.get(name.root, name.text)


def _yes_or_no(name: Name) -> str:
    """Return what is true or false, in quotes: `their "has open dispute"`."""
    whose = "their" if name.root == "profile" else "the request's"
    return f'{whose} "{name.field.replace("_", " ")}"'


def _value(node: Node) -> str | None:
    match node:
        case Literal(value=bool() as value):
            return "true" if value else "false"
        case Literal(value=str() as value):
            return f'"{value}"'
        case Literal(value=int() | float() as number):
            return f"{number:g}" if isinstance(number, float) and abs(number) < 1e15 else str(number)
        case Unary(operator="-", operand=Literal(value=int() | float() as number)):
            return f"{-number:g}"
        case Name():
            return _name(node)
        case Call(name="timestamp", arguments=(Literal(value=str() as value),)):
            return value
        case _:
            return None


def _values(items: tuple[Node, ...]) -> str | None:
    values = [_value(item) for item in items]
    if any(value is None for value in values):
        return None
    known = [value or "" for value in values]
    return f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0] if known else "one of nothing"


def _duration(node: Node) -> str | None:
    if not (isinstance(node, Call) and node.name == "duration" and len(node.arguments) == 1 and isinstance(node.arguments[0], Literal)):
        return None
    match = re.fullmatch(r"(\d+)(h|m|s)", str(node.arguments[0].value))
    if match is None:
        return None
    count, unit = int(match[1]), _UNITS[match[2]]
    if unit == "hour" and count % 24 == 0:
        count, unit = count // 24, "day"
    return f"{count} {unit}{'' if count == 1 else 's'}"
