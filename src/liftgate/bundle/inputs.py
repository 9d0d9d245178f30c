"""Features and context of a bundle as one typed schema of columns."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from liftgate.bundle.duration import timestamp_ms
from liftgate.bundle.features import streamed
from liftgate.bundle.mistake import did_you_mean, one_of
from liftgate.bundle.schema import ContextInput, Feature
from liftgate.bundle.sections import Draft
from liftgate.domain.input import Input, InputSchema, InputType

BUILTIN = ("channel", "device", "locale", "time_zone")
"""Strings that every request may carry, always there as `context.<name>`."""
_EXAMPLES = {"int": "0", "float": "0.0", "bool": "false", "timestamp": "2026-01-01T00:00:00Z"}


def context_inputs(draft: Draft) -> dict[str, ContextInput]:
    """Return every context input by name: the built-in ones first, then the declared ones by name."""
    declared = draft.section("context", ContextInput)
    plain = ContextInput(type="string", values=None)
    for name in BUILTIN:
        if name in declared and declared[name].type != "string":
            draft.refuse(("context", name, "type"), f"context.{name} is always a string", "write `type: string`, or leave it out")
    return {name: declared.get(name, plain) for name in (*BUILTIN, *declared)}


def undeclared_texts(context: Mapping[str, ContextInput]) -> frozenset[str]:
    """Return the names of context strings without declared values."""
    return frozenset(f"context.{name}" for name, item in context.items() if item.type == "string" and item.values is None)


def tainted(draft: Draft) -> frozenset[str]:
    """Return the names of inputs whose definition has a mistake in it."""
    return frozenset(
        f"{root}.{name}" for root, section in (("profile", "features"), ("context", "context")) for name in draft.refused[section]
    )


def build_schema(draft: Draft, context: Mapping[str, ContextInput], texts: Mapping[str, Set[str]]) -> InputSchema:
    """Return the schema. Features are packed in the order of their names, wherever and in whatever order files define them; those that
    events keep fresh come last and are not packed, so that declaring one leaves stored profiles as they are.

    `texts` holds, for context strings without declared values, every literal that the bundle compares them with.
    """
    features = draft.section("features", Feature)
    fresh = streamed(features)
    order = [*(name for name in features if name not in fresh), *fresh]
    profile = tuple(_feature(draft, name, features[name]) for name in order)
    columns = []
    for name, item in context.items():
        full = f"context.{name}"
        values = tuple(item.values or sorted(texts.get(full, ())))
        columns.append(Input(full, InputType(item.type), values if item.type == "string" else ()))
    return InputSchema(profile, tuple(columns), len(fresh))


def _feature(draft: Draft, name: str, feature: Feature) -> Input:
    column = Input(f"profile.{name}", InputType(feature.type), tuple(feature.values or ()))
    path = ("features", name, "default")
    number = float("nan")
    try:
        number = column.encode(_plain(feature.type, feature.default))
    except ValueError as err:
        draft.refuse(path, str(err), f"write, for example, `default: {_EXAMPLES.get(feature.type, (feature.values or ['...'])[0])}`")
    if number == -1 and feature.type == "string":
        mend = did_you_mean(str(feature.default), column.values, one_of(column.values))
        draft.refuse(path, f'"{feature.default}" is not among the declared values', mend)
    max_age_s = float("inf") if feature.max_age is None else feature.max_age / 1000
    return Input(column.name, column.type, column.values, number, max_age_s, feature.on_stale)


def _plain(kind: str, default: Any) -> Any:
    if kind == "timestamp" and isinstance(default, str):
        try:
            return timestamp_ms(default)
        except ValueError as err:
            raise ValueError(f"{default!r} {err}") from None
    if kind == "timestamp" and default is not None:
        raise ValueError("a timestamp is written as text with a zone")
    return default
