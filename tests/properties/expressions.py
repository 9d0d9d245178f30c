"""Well-typed conditions as small trees, made by hypothesis, and the same trees as CEL text."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from liftgate.bundle.conditions import OfferConstants, Scope
from liftgate.domain.input import Input, InputSchema, InputType

Tree = tuple[Any, ...]

SCHEMA = InputSchema(
    (
        Input("profile.age", InputType.INT),
        Input("profile.visits", InputType.INT),
        Input("profile.country", InputType.STRING, ("DE", "FR", "NL", "dé")),
        Input("profile.score", InputType.FLOAT),
        Input("profile.member", InputType.BOOL),
        Input("profile.seen_at", InputType.TIMESTAMP),
    ),
    (
        Input("context.channel", InputType.STRING, ("app", "web")),
        Input("context.country", InputType.STRING, ("NL", "DE", "ES")),
        Input("context.basket", InputType.FLOAT),
        Input("context.first", InputType.BOOL),
    ),
)
OFFER = OfferConstants("free-shipping", "shipping", 4.0)
SCOPE = Scope(SCHEMA, frozenset({"context.channel"}), ("free-shipping", "welcome"), ("shipping",))
NOW_MS = 1_767_225_600_000
OTHER = "~other~"
"""A text that no input declares."""
HUGE = 2**53 - 1

_BY_TYPE = {
    "int": ["profile.age", "profile.visits"],
    "double": ["profile.score", "context.basket"],
    "bool": ["profile.member", "context.first"],
    "timestamp": ["profile.seen_at"],
    "string": ["profile.country", "context.country"],
}
_SPANS_MS = {"0s": 0, "1ms": 1, "90m": 5_400_000, "72h": 259_200_000, "-1.5h": -5_400_000, "2562047h": 9_223_369_200_000}
_MOMENTS_MS = {
    "2026-01-01T00:00:00Z": NOW_MS,
    "2025-12-31T23:59:59.999+01:00": NOW_MS - 3_600_001,
    "1969-12-31T00:00:00Z": -86_400_000,
    "9999-12-31T23:59:59Z": 253_402_300_799_000,
}

ints = st.one_of(st.integers(-5, 5), st.integers(15, 21), st.sampled_from([HUGE, HUGE - 1, -HUGE, 2**52]))
doubles = st.one_of(st.sampled_from([0.0, 1.0, 2.5, -2.5, 18.0, 1e300, -1e-3, 1e-300]), st.floats(-100, 100, allow_nan=False))
literals = {
    "int": ints.filter(lambda i: i >= 0).map(lambda i: ("literal", "int", i)),
    "double": doubles.filter(lambda x: x >= 0).map(lambda x: ("literal", "double", abs(x))),
    "bool": st.booleans().map(lambda b: ("literal", "bool", b)),
    "timestamp": st.sampled_from(sorted(_MOMENTS_MS)).map(lambda text: ("literal", "timestamp", text)),
    "duration": st.sampled_from(sorted(_SPANS_MS)).map(lambda text: ("literal", "duration", text)),
}
_texts = {
    "profile.country": st.sampled_from(SCHEMA.inputs[2].values),
    "context.country": st.sampled_from(SCHEMA.inputs[7].values),
    "context.channel": st.sampled_from(["app", "web"]),
}


def moment_ms(text: str) -> int:
    """Return the milliseconds of a timestamp or duration literal."""
    return {**_MOMENTS_MS, **_SPANS_MS}[text]


@cache
def names(kind: str) -> st.SearchStrategy[Tree]:
    """Inputs of a type."""
    return st.sampled_from(_BY_TYPE[kind]).map(lambda name: ("input", name))


@cache
def numbers(kind: str, depth: int) -> st.SearchStrategy[Tree]:
    """Trees of type int, double, timestamp or duration."""
    leaves: list[st.SearchStrategy[Tree]] = [literals[kind]] if kind == "duration" else [names(kind), names(kind), literals[kind]]
    if kind == "timestamp":
        leaves.append(st.builds(lambda: ("now",)))
    if kind == "double":
        leaves.append(st.builds(lambda: ("offer.value",)))
    if depth <= 0:
        return st.one_of(leaves)

    def two(sign: str, left: str, right: str) -> st.SearchStrategy[Tree]:
        return st.tuples(st.just("op"), st.just(sign), numbers(left, depth - 1), numbers(right, depth - 1))

    inner = numbers(kind, depth - 1)
    grown: list[st.SearchStrategy[Tree]] = [st.tuples(st.just("?:"), truths(depth - 1), inner, inner)]
    if kind in ("int", "double"):
        grown += [two(sign, kind, kind) for sign in ("+", "-", "*", "/")]
        grown.append(st.tuples(st.just("neg"), inner))
    if kind == "int":
        grown.append(two("%", "int", "int"))
        grown.append(st.tuples(st.just("convert"), st.just("int"), numbers("double", depth - 1)))
        grown.append(st.sampled_from(_BY_TYPE["string"]).map(lambda name: ("size", name)))
    if kind == "double":
        grown.append(st.tuples(st.just("convert"), st.just("double"), numbers("int", depth - 1)))
    if kind == "timestamp":
        grown += [two("+", "timestamp", "duration"), two("-", "timestamp", "duration"), two("+", "duration", "timestamp")]
    if kind == "duration":
        grown += [two("-", "timestamp", "timestamp"), two("+", "duration", "duration"), two("-", "duration", "duration")]
    return st.one_of(*leaves, *grown)


@cache
def truths(depth: int) -> st.SearchStrategy[Tree]:
    """Trees of type bool."""
    kinds = ("int", "double", "timestamp", "duration")
    signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    equal = st.sampled_from(["==", "!="])
    has = st.sampled_from([column.name for column in SCHEMA.inputs]).map(lambda name: ("has", name))
    leaves: list[st.SearchStrategy[Tree]] = [names("bool"), literals["bool"], has]
    for name, texts in _texts.items():
        leaves.append(st.tuples(st.just("op"), equal, st.just(("input", name)), texts.map(lambda text: ("literal", "string", text))))
        leaves.append(st.tuples(st.just("in"), st.just(("input", name)), st.lists(texts, min_size=1, max_size=3), st.just("string")))
    leaves.append(st.just(("op", "==", ("input", "profile.country"), ("input", "context.country"))))
    leaves.append(st.just(("op", "!=", ("input", "context.country"), ("input", "profile.country"))))
    tests = st.tuples(st.just("test"), st.sampled_from(["startsWith", "endsWith", "contains"]))
    leaves.append(st.builds(lambda t, name, part: (*t, name, part), tests, st.sampled_from(_BY_TYPE["string"]), st.sampled_from("DNEé")))
    if depth <= 0:
        return st.one_of(leaves)
    inner = truths(depth - 1)
    grown: list[st.SearchStrategy[Tree]] = [
        st.tuples(st.just("op"), signs, numbers(kind, depth - 1), numbers(kind, depth - 1)) for kind in kinds
    ]
    grown += [
        st.tuples(st.sampled_from(["&&", "||"]), st.lists(inner, min_size=2, max_size=4)),
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("?:"), inner, inner, inner),
        st.tuples(st.just("op"), equal, inner, inner),
        st.tuples(st.just("in"), numbers("int", depth - 1), st.lists(ints, min_size=1, max_size=12), st.just("int")),
    ]
    return st.one_of(*grown, *grown, *leaves)


def text(tree: Tree) -> str:
    """Return a tree as CEL, with parentheses around every part."""
    match tree:
        case ("literal", "string", value):
            return f'"{value}"'
        case ("literal", "timestamp" | "duration" as kind, value):
            return f'{kind}("{value}")'
        case ("literal", "bool", value):
            return str(value).lower()
        case ("literal", _, value) | ("plain", value):
            return repr(value) if value >= 0 else f"({value!r})"
        case ("input", name):
            return str(name)
        case ("has", name):
            return f"has({name})"
        case ("size", name):
            return f"{name}.size()"
        case ("test", function, name, part):
            return f'{name}.{function}("{part}")'
        case ("in", left, values, kind):
            items = ", ".join(f'"{value}"' if kind == "string" else repr(value) for value in values)
            return f"({text(left)} in [{items}])"
        case ("op", sign, left, right):
            return f"({text(left)} {sign} {text(right)})"
        case ("&&" | "||" as sign, parts):
            return "(" + f" {sign} ".join(map(text, parts)) + ")"
        case ("not", part):
            return f"!{text(part)}"
        case ("neg", part):
            return f"-({text(part)})"
        case ("convert", kind, part):
            return f"{kind}({text(part)})"
        case ("?:", test, yes, no):
            return f"({text(test)} ? {text(yes)} : {text(no)})"
    return str(tree[0])


def _value(column: Input, holes: bool) -> st.SearchStrategy[Any]:
    values: dict[InputType, st.SearchStrategy[Any]] = {
        InputType.INT: ints,
        InputType.FLOAT: doubles,
        InputType.BOOL: st.booleans(),
        InputType.STRING: st.sampled_from([*column.values, *([OTHER] if holes else [])]),
        InputType.TIMESTAMP: st.sampled_from([0, NOW_MS, NOW_MS - 259_200_000, NOW_MS + 1, -1, 253_402_300_799_999]),
    }
    return st.one_of(values[column.type], st.none()) if holes else values[column.type]


def people(holes: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Some people's inputs by name; with holes, values may be missing (None) or an undeclared text."""
    return st.lists(st.fixed_dictionaries({c.name: _value(c, holes) for c in SCHEMA.inputs}), min_size=1, max_size=4)
