"""Conditions: what they say, how they are read, what they share, and what they leave out."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.bundle.conditions import (
    ColumnCondition,
    ConditionError,
    OfferConstants,
    Scope,
    canonical,
    compared_texts,
    compile_condition,
    parse,
)
from liftgate.domain.input import Input, InputSchema, InputType

NAN = float("nan")
SCHEMA = InputSchema(
    (
        Input("profile.age", InputType.INT),
        Input("profile.score", InputType.FLOAT),
        Input("profile.country", InputType.STRING, ("DE", "FR")),
        Input("profile.member", InputType.BOOL),
        Input("profile.seen_at", InputType.TIMESTAMP),
    ),
    (Input("context.country", InputType.STRING, ("FR", "NL")), Input("context.channel", InputType.STRING, ("app", "web"))),
)
SCOPE = Scope(SCHEMA, frozenset({"context.channel"}), ("gift", "welcome"), ("shipping",))
OFFER = OfferConstants("gift", "shipping", 4.0)
NOW_MS = 1_767_225_600_000.0


def condition(text: str, offer: OfferConstants = OFFER) -> ColumnCondition:
    """Return a compiled condition."""
    return compile_condition(text, parse(text), SCOPE, offer)


def verdict(text: str, **values: float) -> bool | None:
    """Return what a condition says of one person; None: unknown."""
    row = [values.get(column.name.replace(".", "_"), NAN) for column in SCHEMA.inputs]
    true, unknown = condition(text).evaluate(np.array([row]), np.array([NOW_MS]))
    return None if unknown[0] else bool(true[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("10 - 3 - 2 == 5", True),
        ("-7 / 2 == -3 && -7 % 3 == -1 && 7 % -3 == 1", True),
        ("1 < 2 == true", True),
        ("!true || true", True),
        ("!(true || true)", False),
        ("false && true || true", True),
        ("true ? false : true ? false : true", False),
        ("false ? 1 == 1 : 2 == 3", False),
        ("0x10 == 16 && 1e3 == 1000.0 && .5 == 0.5", True),
        ("'a\\'b' == \"a'b\" && '\\u00e9\\x41\\101' == 'éAA'", True),
        ("int(-1.9) == -1 && double(3) == 3.0", True),
        ('duration("1h30m") == duration("90m") && duration("-1.5s") < duration("0s")', True),
        ('timestamp("2026-01-01T01:00:00+01:00") == now', True),
        ('now + duration("24h") - now == duration("24h")', True),
        ("offer.value * 2.0 == 8.0 && offer.id == 'gift' && offer.group in ['shipping']", True),
        ("size('dé') == 2 && 'abc'.contains('b') && !'abc'.startsWith('b')", True),
        ("1 / 0 == 1", None),
        ("1 % 0 == 1", None),
        ("1.0 / 0.0 > 1.0", None),
        ("1 / 0 == 1 || true", True),
        ("1 / 0 == 1 && false", False),
        ("9007199254740991 + 1 > 0", None),
        ("9007199254740991 * -1 < 0", True),
        ("1 in [1, 2] // a comment", True),
    ],
)
def test_constants(text: str, expected: bool | None) -> None:
    """Precedence, literals, arithmetic and constants of the offer are CEL's; what has no exact value is unknown."""
    assert verdict(text) is expected
    assert condition(text).always is (None if "now" in text else expected)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("profile.age >= 18", {}, None),
        ("profile.age >= 18", {"profile_age": 18.0}, True),
        ("profile.age >= 18 && profile.member", {"profile_age": 17.0}, False),
        ("profile.age >= 18 || profile.member", {"profile_member": 1.0}, True),
        ("profile.age >= 18 && profile.member", {"profile_member": 1.0}, None),
        ("!(profile.age >= 18)", {}, None),
        ("has(profile.age)", {}, False),
        ("has(profile.age) && profile.age > 3", {}, False),
        ("has(profile.age) ? profile.age > 3 : true", {}, True),
        ("profile.member ? true : true", {}, None),
        ("true ? true : profile.member", {}, True),
        ('profile.country == "DE"', {"profile_country": -1.0}, False),
        ('profile.country != "DE"', {"profile_country": -1.0}, True),
        ('profile.country.startsWith("D")', {"profile_country": -1.0}, None),
        ("size(profile.country) == 2", {"profile_country": 1.0}, True),
        ("profile.country == context.country", {"profile_country": 1.0, "context_country": 0.0}, True),
        ("profile.country == context.country", {"profile_country": 0.0, "context_country": 1.0}, False),
        ("profile.country == context.country", {"profile_country": -1.0, "context_country": 0.0}, False),
        ("profile.country == context.country", {"profile_country": -1.0, "context_country": 1.0}, None),
        ("profile.country == context.country", {"profile_country": -1.0, "context_country": -1.0}, None),
        ("profile.age in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", {"profile_age": 10.0}, True),
        ("profile.age in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", {"profile_age": 11.0}, False),
        ("profile.age in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", {}, None),
        ('now - profile.seen_at < duration("72h")', {"profile_seen_at": NOW_MS - 259_200_000}, False),
    ],
)
def test_missing_is_unknown(text: str, values: dict[str, float], expected: bool | None) -> None:
    """A missing value is unknown, unknown is absorbed by `false &&` and `true ||` alone, and `has` is never unknown."""
    assert verdict(text, **values) is expected


def test_the_trap_of_rules_that_hide_missing_data() -> None:
    """`missing > 1 && age >= 18` is false for a minor and unknown for an adult, so suppression by it holds."""
    text = "profile.score > 1.0 && profile.age >= 18"
    assert verdict(text, profile_age=17.0) is False
    assert verdict(text, profile_age=18.0) is None


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("profile.age >=", 15, "ends too early"),
        ("profile.age 18", 13, "`18` does not belong here"),
        ("18u > 3", 1, "`18u` is no number"),
        ("1. > 3.0", 1, "`1.` is no number"),
        ("7d > 3", 1, "`7d` is no number"),
        ("r'a' == 'a'", 1, "raw and byte strings are not part of the subset"),
        ("'''a''' == 'a'", 1, "triple quotes are not part of the subset"),
        ("'a\n' == 'a'", 1, "the string has no end"),
        ("'\\ud800' == 'a'", 2, "`\\u` is no escape"),
        ("profile['age'] > 3", 8, "`[...]` after a value is not part of the subset"),
        ("profile.age.years > 3", 13, "`.years` after a value is not part of the subset"),
        ("profile.age in []", 16, "the list is empty"),
        ("profile.age in [profile.age]", 17, "a list may hold constant numbers, strings, timestamps and durations only"),
        ("profile.age in profile.score", 16, "`in` wants a list of constants"),
        ("[1] == [1]", 1, "a list stands alone"),
        ("has(offer.id)", 1, "`has` wants a feature or a context input"),
        ("has(profile.nope)", 5, "there is no `profile.nope`"),
        ("offer.colour == 'x'", 1, "there is no `offer.colour`"),
        ("offer.id == 'gifts'", 1, 'there is no "gifts"'),
        ("profile.score % 2.0 == 0.0", 1, "`%` does not go between double and double"),
        ("profile.age + profile.score > 1.0", 1, "profile.age is int and profile.score is double: `+` does not mix them"),
        ("-profile.member", 1, "`-` wants a number, not bool"),
        ("!profile.age", 1, "`!` wants a bool, not int"),
        ("profile.age && true", 1, "`&&` wants bools, not int"),
        ("profile.age ? true : false", 1, "`? :` wants a bool before `?`, not int"),
        ("(true ? 'a' : 'b') == 'a'", 2, "`? :` between strings is not part of the subset"),
        ("timestamp(profile.age) < now", 1, "`timestamp` wants a string literal"),
        ('timestamp("2026-02-30T00:00:00Z") < now', 11, '"2026-02-30T00:00:00Z" is no ISO 8601 time, or no day of the calendar'),
        ('duration("1ns") < duration("1s")', 10, '"1ns" is no duration'),
        ('duration("0.0001s") < duration("1s")', 10, '"0.0001s" is not in whole milliseconds up to 292 years'),
        ("profile.country.startsWith(profile.country)", 1, "`startsWith` wants one string literal"),
        ("size(profile.age) > 1", 1, "`size` wants a string, not int"),
        ("int(profile.member) > 1", 1, "`int` wants an int or a double, not bool"),
        ("profile.member < true", 1, "`<` between bools is not part of the subset"),
        ("has(profile.age,)", 17, "an argument is missing after `,`"),
        ("true ? true ? true : false : false", 13, "`:` is missing after the value for yes of `? :`"),
        ("if > 1", 1, "`if` does not belong here"),
    ],
)
def test_what_is_refused(text: str, column: int, problem: str) -> None:
    """What the subset leaves out or what does not type-check is refused, with its column and with what to write instead."""
    with pytest.raises(ConditionError) as caught:
        condition(text)
    flaw = caught.value.flaws[0]
    assert (flaw.column, flaw.problem) == (column, problem)
    assert flaw.mend


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("profile.age >= 18.0", "write 18"),
        ("profile.score >= 18", "write 18.0"),
        ("profile.score in [18]", "write 18.0"),
        ("profile.age < profile.score", "write double(profile.age)"),
        ("profile.age > 1.5", "write double(profile.age)"),
        ('profile.seen_at < "2026-01-01T00:00:00Z"', 'write timestamp("2026-01-01T00:00:00Z")'),
        ('now - profile.seen_at < "72h"', 'write duration("72h")'),
        ('profile.country == "DEU"', "did you mean `DE`?"),
        ('profile.country == "Germany"', "known: `DE`, `FR`"),
        ("profile.scroe > 1.0", "did you mean `profile.score`?"),
        ("score > 1.0", "did you mean `profile.score`?"),
        ('duration("7d") < duration("1s")', 'CEL knows no days: write "168h"'),
        ("profile.age = 18", "write `==` to compare"),
    ],
)
def test_mends_can_be_pasted(text: str, mend: str) -> None:
    """The mend of a common mistake is what to write."""
    with pytest.raises(ConditionError) as caught:
        condition(text)
    assert caught.value.flaws[0].mend == mend


def test_every_flaw_is_found() -> None:
    """Independent flaws in one condition are all told, and a part with a flaw causes no others."""
    with pytest.raises(ConditionError) as caught:
        condition('profile.age > 1.5 + 2.0 || profile.nope + 1 > 2 && profile.country in ["X", "DE", "Y"]')
    assert [flaw.column for flaw in caught.value.flaws] == [1, 28, 72, 83]


def test_equal_conditions_have_equal_keys() -> None:
    """Layout, quotes and parentheses make no difference to what is computed; constants do."""
    one = condition("profile.age >= 18 && profile.country == 'DE'")
    assert one.key == condition('(profile.age>=18)&&(profile.country=="DE") // same').key
    assert one.key != condition("profile.age >= 19 && profile.country == 'DE'").key
    many = ["profile.age in [" + ", ".join(map(str, range(start, start + 3_000, 3))) + "]" for start in (100, 101)]
    keys = [compile_condition("", parse(text[:4_000].rsplit(",", 1)[0] + "]"), SCOPE, OFFER).key for text in many]
    assert keys[0] != keys[1]


def test_common_parts_are_computed_once() -> None:
    """A sub-expression that occurs twice takes no more steps than once."""
    part = "profile.score * 2.0 + 1.0 > 3.0"
    once, twice = condition(part), condition(f"({part}) || ({part})")
    assert once.key == twice.key


def test_constants_are_folded() -> None:
    """What does not depend on a person is computed at load."""
    assert (
        condition('now > timestamp("2026-01-01T00:00:00Z") - duration("72h")').key
        == condition('now > timestamp("2025-12-29T00:00:00Z")').key
    )
    assert condition("profile.age >= 18 && offer.value > 3.0").key == condition("profile.age >= 18").key


def test_evaluation_neither_changes_nor_keeps_its_inputs() -> None:
    """A condition is a pure function: inputs stay as they are, and a second call gives the same."""
    inputs = np.array([[18.0, NAN, 0.0, 1.0, 0.0, 0.0, 0.0], [NAN] * 7])
    inputs.setflags(write=False)
    now = np.array([NOW_MS, NOW_MS])
    compiled = condition("profile.age >= 18 && !has(profile.score) || profile.country in ['DE']")
    first, second = compiled.evaluate(inputs, now), compiled.evaluate(inputs, now)
    for (a, b), expected in zip(zip(first, second, strict=True), ([True, False], [False, True]), strict=True):
        assert a.dtype == np.bool_
        assert a.tolist() == b.tolist() == expected


def test_an_empty_batch() -> None:
    """No people give no verdicts, for constant conditions too."""
    for text in ("profile.age > 1", "true"):
        true, unknown = condition(text).evaluate(np.empty((0, 7)), np.empty(0))
        assert true.shape == unknown.shape == (0,)


def test_compared_texts_are_collected() -> None:
    """Every string that an input is compared with is found, on either side, in lists, and behind `offer.id`."""
    node = parse("context.channel == 'web' || 'tv' != context.channel && context.channel in ['app'] || context.channel == offer.id")
    assert sorted(compared_texts(node, OFFER)) == [("context.channel", text) for text in ("app", "gift", "tv", "web")]


def test_canonical_text() -> None:
    """The canonical text has no comments and no layout, and keeps what strings hold."""
    assert canonical("a.b  ==  'x // y' // z\n && c") == canonical('a.b=="x // y"&&c')
    assert canonical("'a b' == c.d") != canonical("'a  b' == c.d")


def test_long_chains_of_logic_are_flat() -> None:
    """Hundreds of alternatives are one level deep, a long sum is not."""
    assert verdict(" || ".join(["profile.age == 1"] * 200), profile_age=1.0) is True
    with pytest.raises(ConditionError, match="nested"):
        condition(" + ".join(["1"] * 200) + " == 200")
