"""`--where EXPR`: a condition in SQL, read by sqlglot and built again in Ibis, so that nothing but a condition gets through."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import ibis
import sqlglot
from sqlglot import expressions as sql

from liftgate.measure.refusal import Misused

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    sql.And: operator.and_,
    sql.Or: operator.or_,
    sql.EQ: operator.eq,
    sql.NEQ: operator.ne,
    sql.GT: operator.gt,
    sql.GTE: operator.ge,
    sql.LT: operator.lt,
    sql.LTE: operator.le,
    sql.Add: operator.add,
    sql.Sub: operator.sub,
    sql.Mul: operator.mul,
    sql.Div: operator.truediv,
    sql.Mod: operator.mod,
}
_MAY = "columns, numbers, 'texts', and or not, = <> < <= > >=, in, between, is null, like, + - * / %, lower, upper, abs, date 'YYYY-MM-DD'"


def condition(rows: Any, words: str) -> Any:
    """Return the condition as an Ibis boolean over the table `rows`. Raises Misused where it is not a plain condition."""
    try:
        parsed = sqlglot.parse_one(words, read="duckdb")
    except sqlglot.errors.SqlglotError as err:
        raise Misused(f"--where {words!r} is not a condition in SQL: {str(err).splitlines()[0]}") from err
    try:
        built = _build(rows, parsed)
    except (TypeError, ValueError, AttributeError, ibis.common.exceptions.IbisError) as err:
        raise Misused(f"--where {words!r} compares what cannot be compared: {str(err).splitlines()[0]}") from err
    if not hasattr(built, "type") or not built.type().is_boolean():
        raise Misused(f"--where {words!r} is not true or false for a row")
    return built


def _build(rows: Any, node: Any) -> Any:
    kind = type(node)
    if kind in _BINARY:
        left, right = _alike(_build(rows, node.this), _build(rows, node.expression))
        # Engines differ on a division by 0: here it has no value, and a condition on it is not met.
        return _BINARY[kind](left, right.nullif(0) if kind in (sql.Div, sql.Mod) else right)
    if kind is sql.Column:
        if node.args.get("table") or node.name not in rows.columns:
            raise Misused(
                f"--where names the column {node.sql()!r}, and the table has {', '.join(rows.columns)}. Texts go in 'single quotes'"
            )
        return rows[node.name]
    if kind is sql.Literal:
        return ibis.literal(node.this if node.is_string else float(node.this) if not node.is_int else int(node.this))
    if kind is sql.Boolean:
        return ibis.literal(bool(node.this))
    if kind is sql.Paren:
        return _build(rows, node.this)
    if kind is sql.Not:
        return ~_build(rows, node.this)
    if kind is sql.Neg:
        return -_build(rows, node.this)
    if kind is sql.In and node.expressions:
        value, *others = _alike(*(_build(rows, one) for one in (node.this, *node.expressions)))
        return value.isin(others)
    if kind is sql.Between:
        value, low, high = _alike(*(_build(rows, one) for one in (node.this, node.args["low"], node.args["high"])))
        return value.between(low, high)
    if kind is sql.Is and isinstance(node.expression, sql.Null):
        return _build(rows, node.this).isnull()
    if kind is sql.Like and isinstance(node.expression, sql.Literal):
        return _build(rows, node.this).like(node.expression.this)
    if kind in (sql.Lower, sql.Upper, sql.Abs):
        return getattr(_build(rows, node.this), kind.__name__.lower())()
    if kind is sql.Cast and node.to.this in (sql.DataType.Type.DATE, sql.DataType.Type.TIMESTAMP) and isinstance(node.this, sql.Literal):
        return ibis.literal(node.this.this).cast("date" if node.to.this is sql.DataType.Type.DATE else "timestamp")
    raise Misused(f"--where may not hold {node.sql()!r}; it takes {_MAY}")


def _alike(*values: Any) -> list[Any]:
    """Read texts as numbers where they meet a number: columns may have been opened as they are written. No number: null."""
    if not any(value.type().is_numeric() for value in values):
        return list(values)
    return [value.try_cast("float64") if value.type().is_string() else value for value in values]
