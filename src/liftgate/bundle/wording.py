"""Pydantic's findings in our words: the path, what is wrong, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from liftgate.bundle.field_types import CURRENCY_PATTERN, INPUT_PATTERN, NAME_PATTERN, SHA256_PATTERN, VALUE_PATTERN
from liftgate.bundle.mistake import did_you_mean, one_of

Path = tuple[str | int, ...]
_TAGS = frozenset({"[key]", "all", "by_offer", "by_group", "by_name", "written"})
_MAX_SHOWN = 60
_PATTERNS = {
    NAME_PATTERN: "wants letters, digits, `.`, `_` and `-` only, beginning with a letter or digit",
    VALUE_PATTERN: "wants text without `|` and control characters",
    CURRENCY_PATTERN: "wants three capital letters",
    INPUT_PATTERN: "wants `profile.<name>` or `context.<name>`",
    SHA256_PATTERN: "wants 64 lower-case hexadecimal digits",
}


@cache
def _json_schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _parts(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a node and everything that it may stand for."""
    yield node
    if "$ref" in node:
        yield from _parts(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    for key in ("anyOf", "oneOf", "allOf"):
        for option in node.get(key, ()):
            yield from _parts(option, definitions)


def _at(model: type[BaseModel], path: Path) -> list[dict[str, Any]]:
    """Return the JSON Schema nodes that describe the value at a path."""
    schema = _json_schema(model)
    definitions = schema.get("$defs", {})
    nodes = list(_parts(schema, definitions))
    for segment in path:
        below: list[dict[str, Any]] = []
        for node in nodes:
            if isinstance(segment, int) and "items" in node:
                below += _parts(node["items"], definitions)
            elif isinstance(segment, str):
                if segment in node.get("properties", {}):
                    below += _parts(node["properties"][segment], definitions)
                elif isinstance(node.get("additionalProperties"), dict):
                    below += _parts(node["additionalProperties"], definitions)
                else:
                    for one in node.get("patternProperties", {}).values():
                        below += _parts(one, definitions)
        nodes = below
    return nodes


def _example(model: type[BaseModel], path: Path) -> str | None:
    for node in _at(model, path):
        for example in node.get("examples", ()):
            return _yaml(example)
    return None


def _yaml(value: Any) -> str:
    """Return a value as one would write it in a bundle."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else _yaml(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def explain(err: ValidationError, model: type[BaseModel], prefix: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield (path, problem, mend) for every finding. `prefix` is where in the model the validated value stands."""
    for finding in err.errors(include_url=False):
        path = (*prefix, *(part for part in finding["loc"] if part not in _TAGS))
        key = str(path[-1]) if path else ""
        example = _example(model, path)
        kind, context = finding["type"], finding.get("ctx", {})
        if kind == "refused":
            yield path, context["problem"], context["mend"]
        elif kind == "extra_forbidden":
            known = {name for node in _at(model, path[:-1]) for name in node.get("properties", {})}
            yield path, "is not known here", did_you_mean(key, known, f"remove it ({one_of(known, 20)})")
        elif kind == "missing":
            yield path, "is missing", f"add `{key}: {example}`" if example else f"add `{key}`"
        else:
            mend = f"write, for example, `{f'{key}: ' if key else ''}{example}`" if example else "see docs/bundle.md"
            if isinstance(path[-1] if path else "", int):
                mend = _item_mend(model, path)
            yield path, _problem(kind, finding["msg"], context, finding["input"]), mend


def _item_mend(model: type[BaseModel], path: Path) -> str:
    example = _example(model, path[:-1])
    return f"write, for example, `{path[-2]}: {example}`" if example and len(path) > 1 else "see docs/bundle.md"


def _problem(kind: str, message: str, context: dict[str, Any], value: Any) -> str:
    if kind == "string_pattern_mismatch" and context.get("pattern") in _PATTERNS:
        return f"{_PATTERNS[context['pattern']]}, not {_shown(value)}"
    if kind == "string_type":
        return f"wants text, not {_shown(value)}"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"wants a mapping, not {_shown(value)}"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"wants {bound} entries, not {context['actual_length']}"
    return f"{message.removeprefix('Input ').removeprefix('String ')}, not {_shown(value)}"
