"""YAML as bundles read it: version 1.2, with the line of everything."""

from __future__ import annotations

import math
from typing import Any

import pytest

from liftgate.bundle.mistake import Mistake
from liftgate.bundle.source import MAX_BYTES, dotted, parse, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("true", True),
        ("null", None),
        ("", None),
        ("~", None),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2026-11-01", "2026-11-01"),
        ("4.00", 4.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("1e999", math.inf),
        ("9" * 5_000, "9" * 5_000),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    """`yes` and dates are text, numbers are numbers, and endless digits stay text."""
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    """`.nan` is a number that is none."""
    assert math.isnan(scalar(".nan"))


def test_quotes_make_text() -> None:
    """A quoted number is text; keys are always text."""
    source = parse("f", b"a: '1'\nb: \"true\"\n3: 4\nnull: 5\nc: |\n  6\n")
    assert source.value == {"a": "1", "b": "true", "3": 4, "null": 5, "c": "6\n"}


def test_lines() -> None:
    """Keys and items know their lines; what is not written is found at its nearest parent."""
    source = parse("f", b"a:\n  b: 1\n  c:\n    - x\n    - y\nd: {e: 2}\n")
    assert source.lines[("a", "b")] == 2
    assert source.lines[("a", "c", 1)] == 5
    assert source.locate(("d", "e")) == (("d", "e"), 6)
    assert source.locate(("a", "c", "tag", 0, "missing")) == (("a", "c", 0), 4)
    assert source.locate(("nowhere",)) == ((), 1)


def test_a_byte_order_mark_and_windows_lines_are_fine() -> None:
    """Files saved by other editors read the same."""
    source = parse("f", b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert source.value == {"a": 1, "b": 2}
    assert source.lines[("b",)] == 2


def test_a_key_written_twice_keeps_the_first() -> None:
    """The second value is dropped with a mistake, and its lines do not replace those of the first."""
    source = parse("f", b"a:\n  b: 1\nc: 0\na:\n  b: 2\n  d: 3\n")
    assert source.value == {"a": {"b": 1}, "c": 0}
    assert source.lines[("a", "b")] == 2
    assert [(mistake.line, mistake.field) for mistake in source.mistakes] == [(4, "a")]
    assert not source.broken


def test_every_twice_written_key_is_told() -> None:
    """One pass finds all of them, at any depth."""
    source = parse("f", b"a: {b: 1, b: 2}\nc: 1\nc: 2\n")
    assert [mistake.field for mistake in source.mistakes] == ["a.b", "c"]


@pytest.mark.parametrize(
    ("raw", "line", "problem"),
    [
        (b"a: &x 1\nb: *x\n", 1, "uses an anchor or alias (`&`, `*`)"),
        (b"a: 1\nb: *x\n", 2, "uses an anchor or alias (`&`, `*`)"),
        (b"a: !!str 1\n", 1, "uses a tag (`tag:yaml.org,2002:str`)"),
        (b"a: !local {b: 1}\n", 1, "uses a tag (`!local`)"),
        (b"a: 1\n---\nb: 1\n", 2, "holds a second document"),
        (b"? {a: 1}\n: 2\n", 1, "has a mapping or list as a key"),
        (b"a: 1\nb: \xff\n", 2, "is not UTF-8 (byte 0xff)"),
        (b"a: " + b"[" * 33 + b"]" * 33, 1, "is nested more than 32 levels deep"),
        (b"x" * (MAX_BYTES + 1), 0, "is larger than 4 MiB"),
    ],
)
def test_what_is_refused(raw: bytes, line: int, problem: str) -> None:
    """Whatever makes YAML dangerous or ambiguous ends the reading of that file with its line."""
    source = parse("f", raw)
    assert [(mistake.line, mistake.problem) for mistake in source.mistakes] == [(line, problem)]
    assert source.broken


def test_dotted() -> None:
    """Paths are written as people do."""
    assert dotted(("offers", "a", "caps", 0, "max")) == "offers.a.caps[0].max"


def test_half_a_character_is_refused_with_its_line() -> None:
    """A lone surrogate, which no other encoding can write, is a mistake and not a text."""
    (mistake,) = parse("a.yaml", b'one: 1\ntwo: "\\ud800"\n').mistakes
    assert (mistake.line, mistake.problem) == (2, "holds half a character (a lone surrogate)")


def test_mistakes_print_nothing_that_a_terminal_would_obey() -> None:
    """Escape sequences, line breaks and text that runs backwards are written out, and endless names are cut."""
    mistake = Mistake("a\nb.yaml", 1, "offers.\x1b[2J", "is \u202ebackwards", "x" * 10_000)
    assert str(mistake).isprintable()
    assert (mistake.file, mistake.field, mistake.problem) == ("a\\nb.yaml", "offers.\\x1b[2J", "is \\u202ebackwards")
    assert len(mistake.mend) < 2_000
