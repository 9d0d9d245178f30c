"""Compiled conditions against a scalar reference and against Google's CEL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from cel_expr_python import cel
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.bundle.conditions import ColumnCondition, compile_condition, parse
from liftgate.bundle.conditions_program import OPERATIONS
from liftgate.bundle.conditions_row import ROW_OPERATIONS, judge
from liftgate.domain.input import Floats, InputType
from liftgate.guardrails.rules import FEW, FEW_JUDGEMENTS, Judgements
from tests.properties.expressions import NOW_MS, OFFER, OTHER, SCHEMA, SCOPE, Tree, doubles, ints, people, text, truths
from tests.properties.reference_cel import Reference

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPES = {
    InputType.INT: cel.Type.INT,
    InputType.FLOAT: cel.Type.DOUBLE,
    InputType.BOOL: cel.Type.BOOL,
    InputType.STRING: cel.Type.STRING,
    InputType.TIMESTAMP: cel.Type.TIMESTAMP,
}
DYNAMIC = cel.NewEnv(variables={"profile": cel.Type.DYN, "context": cel.Type.DYN, "offer": cel.Type.DYN, "now": cel.Type.TIMESTAMP})
TYPED = cel.NewEnv(
    variables={column.name: TYPES[column.type] for column in SCHEMA.inputs} | {"offer.value": cel.Type.DOUBLE, "now": cel.Type.TIMESTAMP}
)


def compiled(tree: Tree) -> ColumnCondition:
    """Return the condition of a tree's text."""
    written = text(tree)
    return compile_condition(written, parse(written), SCOPE, OFFER)


def columns(group: list[dict[str, Any]]) -> tuple[Floats, Floats]:
    """Return people as inputs and times."""
    rows = [[column.encode(person[column.name]) for column in SCHEMA.inputs] for person in group]
    return np.array(rows, dtype=np.float64), np.full(len(group), float(NOW_MS))


def verdicts(tree: Tree, group: list[dict[str, Any]]) -> list[bool | None]:
    """Return True, False or None for each person: as columns, and row by row the same where that can be had."""
    condition, (inputs, now_ms) = compiled(tree), columns(group)
    true, unknown = condition.evaluate(inputs, now_ms)
    assert not (true & unknown).any()
    assert true.shape == unknown.shape == (len(group),)
    if condition.by_row:
        rows = [condition.evaluate_row(row, float(NOW_MS)) for row in inputs.tolist()]
        assert rows == list(zip(true.tolist(), unknown.tolist(), strict=True))
    return [None if u else bool(t) for t, u in zip(true, unknown, strict=True)]


def in_cel(written: str, person: dict[str, Any]) -> bool | None:
    """Return Google's answer; None: an error."""
    data: dict[str, Any] = {"profile": {}, "context": {}, "offer": {"value": OFFER.value}, "now": EPOCH + timedelta(milliseconds=NOW_MS)}
    for column in SCHEMA.inputs:
        value = person[column.name]
        root, field = column.name.split(".")
        if value is not None:
            data[root][field] = moment(value) if column.type is InputType.TIMESTAMP else value
    result = DYNAMIC.compile(written).eval(data=data)
    if result.type() == cel.Type.ERROR:
        return None
    assert isinstance(result.value(), bool)
    return bool(result.value())


def moment(ms: int) -> Timestamp:
    """Return a time as CEL reads it inside maps."""
    seconds, rest = divmod(ms, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)


@settings(max_examples=400, deadline=None)
@given(truths(3), people(holes=True))
def test_columns_agree_with_the_scalar_reference(tree: Tree, group: list[dict[str, Any]]) -> None:
    """Every compiled condition says true, false or unknown exactly where a plain evaluator does, holes included."""
    assert verdicts(tree, group) == [Reference(person).evaluate(tree) for person in group]


@settings(max_examples=300, deadline=None)
@given(truths(3), people(holes=False))
def test_full_profiles_agree_with_google_cel(tree: Tree, group: list[dict[str, Any]]) -> None:
    """Where nothing is missing a condition says what Google's CEL says; it is unknown only where CEL has an error or a limit was met."""
    for verdict, person in zip(verdicts(tree, group), group, strict=True):
        agree(tree, person, verdict)


@settings(max_examples=300, deadline=None)
@given(truths(2), people(holes=True))
def test_holes_absorb_as_google_cel_absorbs_errors(tree: Tree, group: list[dict[str, Any]]) -> None:
    """A missing value acts as an error does in CEL: absorbed by `false &&` and `true ||`, else unknown."""
    for person in group:
        # Undeclared text is our notion, not CEL's: leave those people out.
        if OTHER not in person.values():
            agree(tree, person, verdicts(tree, [person])[0])


def agree(tree: Tree, person: dict[str, Any], verdict: bool | None) -> None:
    """Assert that one verdict is CEL's."""
    expected = in_cel(text(tree), person)
    if verdict is None and expected is not None:
        reference = Reference(person)
        reference.evaluate(tree)
        assert reference.limited, f"unknown here, {expected} in CEL: {text(tree)}"
    else:
        assert verdict == expected, text(tree)


@settings(max_examples=200, deadline=None)
@given(truths(3))
def test_what_compiles_here_type_checks_in_google_cel(tree: Tree) -> None:
    """The subset is one: every condition accepted here passes Google's strict type check with the same input types."""
    written = text(tree)
    compiled(tree)
    if "has(" not in written:
        assert TYPED.compile(written).return_type() == cel.Type.BOOL


@settings(max_examples=100, deadline=None)
@given(truths(2), people(holes=True), st.integers(2, 40))
def test_a_batch_is_its_rows(tree: Tree, group: list[dict[str, Any]], times: int) -> None:
    """What a person gets does not depend on who else is in the batch."""
    assert verdicts(tree, group * times) == verdicts(tree, group) * times


@settings(max_examples=300, deadline=None)
@given(st.sampled_from("+-*/%"), ints, ints)
def test_whole_number_arithmetic_is_exact(sign: str, a: int, b: int) -> None:
    """Every operator on ints gives Python's exact result, truncated as CEL truncates, or unknown beyond 2**53 and for division by 0."""
    person = {column.name: None for column in SCHEMA.inputs} | {"profile.age": a, "profile.visits": b}
    tree = ("op", sign, ("input", "profile.age"), ("input", "profile.visits"))
    exact = Reference(person).evaluate(tree)
    for shift in (0, -1 if (exact or 0) > 0 else 1):
        wanted = None if exact is None else shift == 0
        assert verdicts(("op", "==", tree, ("literal", "int", (exact or 0) + shift)), [person]) == [wanted]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from("+-*/"), doubles, doubles)
def test_double_arithmetic_is_ieee(sign: str, a: float, b: float) -> None:
    """Every operator on doubles gives Python's result, or unknown where that is not finite."""
    person = {column.name: None for column in SCHEMA.inputs} | {"profile.score": a, "context.basket": b}
    tree = ("op", sign, ("input", "profile.score"), ("input", "context.basket"))
    exact = Reference(person).evaluate(tree)
    assert verdicts(("op", "==", tree, ("literal", "double", exact or 0.0)), [person]) == [None if exact is None else True]
    assert verdicts(("op", "<", tree, ("literal", "double", exact or 0.0)), [person]) == [None if exact is None else False]


numbers = st.floats() | st.sampled_from([0.0, -0.0, 1.0, float("inf"), float("nan")])
OPERANDS = dict.fromkeys(ROW_OPERATIONS, (numbers, numbers)) | {
    "and": (st.booleans(), st.booleans()),
    "or": (st.booleans(), st.booleans()),
    "and_not": (st.booleans(), st.booleans()),
    "not": (st.booleans(),),
    "choose": (st.booleans(), st.booleans(), numbers, numbers),
    "negative_double": (numbers,),
}


@pytest.mark.parametrize("name", sorted(ROW_OPERATIONS))
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_operations_on_a_row_are_those_on_columns(name: str, data: st.DataObject) -> None:
    """Each operation on plain numbers gives the bits that numpy gives, infinities, signed zeros and overflow included."""
    operands = data.draw(st.tuples(*OPERANDS[name]))
    with np.errstate(all="ignore"):
        column = OPERATIONS[name](*(np.array([operand]) for operand in operands))
    steps = [(name, tuple(range(1, len(operands) + 1)), 9)]
    alone = np.array([judge((), dict(enumerate(operands, start=1)), steps, 0, (9, 9))((), 0.0)[0]])
    assert alone.dtype == column.dtype
    assert (np.isnan(alone).all() and np.isnan(column).all()) or alone.tobytes() == column.tobytes()


def test_ordinary_conditions_can_be_had_row_by_row() -> None:
    """Comparisons and logic can; what raises or rounds in Python stays with columns."""
    country = ("op", "==", ("input", "profile.country"), ("literal", "string", "DE"))
    score = ("op", "<", ("input", "profile.score"), ("literal", "double", 3.0))
    assert compiled(("op", "&&", country, score)).by_row
    divided = ("op", "/", ("input", "profile.score"), ("input", "context.basket"))
    assert not compiled(("op", "<", divided, ("literal", "double", 3.0))).by_row


@settings(max_examples=100, deadline=None)
@given(st.lists(truths(2), min_size=1, max_size=FEW + 2), people(holes=True))
def test_small_batches_are_judged_as_large_ones(trees: list[Tree], group: list[dict[str, Any]]) -> None:
    """Rules say the same of people one at a time as of all of them in one batch, whichever way each is judged."""
    rules = Judgements([compiled(tree) for tree in trees], [(2, 0, 3)] * len(trees))
    many = (group * (FEW_JUDGEMENTS + 1))[: FEW_JUDGEMENTS + 1]
    inputs, _ = columns(many)
    now_ms = np.full(len(many), NOW_MS)
    together = rules.evaluate(inputs, now_ms)
    for row in range(0, len(many), 7):
        alone = rules.evaluate(inputs[row : row + 1], now_ms[row : row + 1])
        wanted = [0] * (len(trees) + 1) if together is None else together[:, row].tolist()
        assert ([0] * (len(trees) + 1) if alone is None else alone[:, 0].tolist()) == wanted


def test_steps_may_be_deeper_than_python_reads() -> None:
    """Three hundred steps, each of the one before, are one function all the same."""
    steps = [("negative_double", (register,), register + 1) for register in range(1, 301)]
    assert judge([(1, 0)], {}, steps, 0, (301, 300))([0.5], 0.0) == (0.5, -0.5)


def test_two_strings_compare_as_the_reference_says() -> None:
    """All pairs of declared, undeclared and missing texts of two inputs give the reference's answer, either way round."""
    blank: dict[str, str | None] = {column.name: None for column in SCHEMA.inputs}
    texts = {name: [*SCHEMA.inputs[SCHEMA.index[name]].values, OTHER, None] for name in ("profile.country", "context.country")}
    group = [blank | {"profile.country": a, "context.country": b} for a in texts["profile.country"] for b in texts["context.country"]]
    for left, right in (tuple(texts), tuple(texts)[::-1]):
        for sign in ("==", "!="):
            tree = ("op", sign, ("input", left), ("input", right))
            assert verdicts(tree, group) == [Reference(person).evaluate(tree) for person in group]
