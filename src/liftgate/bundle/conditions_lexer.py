"""Text of a condition to tokens. The lexical rules are CEL's; what the subset leaves out is refused by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

MAX_LENGTH = 4_096
"""Characters of one condition."""
MAX_INT = 2**53 - 1
"""Whole numbers beyond it are not exact in a float64 column."""

RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace"}
    | {"null", "package", "return", "true", "var", "void", "while"}
)
"""Words that CEL keeps for itself: no feature may be called so."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<float>(?:[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]+)?)|(?:[0-9]+[eE][-+]?[0-9]+))
  | (?P<hex>0x[0-9a-fA-F]+)
  | (?P<int>[0-9]+)
  | (?P<prefixed>(?:[bBrR]{1,2})(?=["']))
  | (?P<quote>["'])
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]])
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CODES = {"x": (2, 16), "X": (2, 16), "u": (4, 16), "U": (8, 16)}
_MENDS = {
    "=": "write `==` to compare",
    "&": "write `&&`",
    "|": "write `||`",
    "{": "maps are not part of the subset",
    "}": "maps are not part of the subset",
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with a condition. `column` counts from 1."""

    column: int
    problem: str
    mend: str


class ConditionError(Exception):
    """A condition that cannot be compiled; carries every flaw found."""

    def __init__(self, *flaws: Flaw) -> None:
        super().__init__("; ".join(f"column {flaw.column}: {flaw.problem}" for flaw in flaws))
        self.flaws = flaws


class Kind(Enum):
    """Kinds of token."""

    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    WORD = "word"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its text as written, its value, and where it begins and ends."""

    kind: Kind
    text: str
    value: int | float | str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return the tokens, the last of kind END. Raises ConditionError."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(Flaw(1, f"is longer than {MAX_LENGTH} characters", "put part of it into a feature or a group"))
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            mend = _MENDS.get(text[at], "see the list of what a condition may hold in docs/bundle.md")
            raise ConditionError(Flaw(at + 1, f"`{text[at]}` has no meaning here", mend))
        kind = match.lastgroup
        if kind == "prefixed":
            raise ConditionError(Flaw(at + 1, "raw and byte strings are not part of the subset", "write a plain string"))
        if kind == "quote":
            token = _string(text, at)
        elif kind == "space":
            at = match.end()
            continue
        else:
            token = _plain(str(kind), match[0], at, match.end())
        _apart(text, token)
        found.append(token)
        at = token.end
    found.append(Token(Kind.END, "", "", len(text), len(text)))
    return found


def canonical(text: str) -> str:
    """Return the condition without comments and with single spaces: equal for texts that differ in layout only."""
    return " ".join(repr(token.value) if token.kind is Kind.STRING else token.text for token in tokens(text)[:-1])


def _plain(kind: str, text: str, start: int, end: int) -> Token:
    if kind == "float":
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ConditionError(Flaw(start + 1, f"{text} is too large for a double", "write a smaller number"))
        return Token(Kind.DOUBLE, text, value, start, end)
    if kind in ("int", "hex"):
        whole = int(text, 16 if kind == "hex" else 10) if len(text) <= 20 else MAX_INT + 1
        if whole > MAX_INT:
            raise ConditionError(Flaw(start + 1, f"{text[:24]} is beyond 2**53 - 1", "write a smaller number, or a double"))
        return Token(Kind.INT, text, whole, start, end)
    return Token(Kind.WORD if kind == "word" else Kind.SIGN, text, text, start, end)


def _apart(text: str, token: Token) -> None:
    """Refuse `18u`, `7d` and `1.`: a number that runs into something else."""
    after = text[token.end : token.end + 1]
    if token.kind not in (Kind.INT, Kind.DOUBLE) or not (after.isalnum() or after in ("_", ".")):
        return
    mends = {"u": "uint is not part of the subset: leave out the `u`", ".": f"write {token.text}.0"}
    mend = mends.get(after.lower(), 'durations are written `duration("168h")`')
    raise ConditionError(Flaw(token.start + 1, f"`{token.text}{after}` is no number", mend))


def _string(text: str, start: int) -> Token:
    quote = text[start]
    if text.startswith(quote * 3, start):
        raise ConditionError(Flaw(start + 1, "triple quotes are not part of the subset", f"write {quote}...{quote}"))
    parts: list[str] = []
    at = start + 1
    while at < len(text) and text[at] != quote and text[at] != "\n":
        if text[at] == "\\":
            piece, at = _escape(text, at)
            parts.append(piece)
        else:
            parts.append(text[at])
            at += 1
    if at >= len(text) or text[at] != quote:
        raise ConditionError(Flaw(start + 1, "the string has no end", f"close it with {quote}"))
    return Token(Kind.STRING, text[start : at + 1], "".join(parts), start, at + 1)


def _escape(text: str, at: int) -> tuple[str, int]:
    letter = text[at + 1 : at + 2]
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 2
    if letter and letter in "\\\"'`?":
        return letter, at + 2
    digits, base = _CODES.get(letter, (3, 8))
    begin = at + 2 if letter in _CODES else at + 1
    code = text[begin : begin + digits]
    try:
        if len(code) != digits or not code.isalnum():
            raise ValueError
        number = int(code, base)
        if 0xD800 <= number < 0xE000:
            raise ValueError
        return chr(number), begin + digits
    except (ValueError, OverflowError):
        raise ConditionError(Flaw(at + 1, f"`\\{letter}` is no escape", "write `\\\\` for a backslash")) from None
