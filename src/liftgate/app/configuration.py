"""docs/configuration.md, generated from `settings.py`: `python -m liftgate.app.configuration` prints it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from liftgate.app.settings import Settings, flag, variable

_HEAD = """# Configuration

<!-- Generated from src/liftgate/app/settings.py by `make docs`; edit that. -->

`liftgate serve` reads its settings once, at start, from flags and from environment variables; a flag wins over a variable, and a
variable over the default. It prints them all in its first log line, with secrets hidden. A setting that is wrong stops the start with
exit code 2 and a message that names its flag and its variable. A variable that begins with `LIFTGATE_` and names no setting is
warned about.

What a decision depends on (offers, rules, models, holdouts) is not here: it lies in the [bundle](decide.md), which has a digest and can
be reloaded.
"""


def default_of(info: FieldInfo) -> str:
    """Return a setting's default as the docs write it."""
    value: Any = info.default
    if value is PydanticUndefined:
        return "needed"
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return "off" if not value else "on"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def values_of(info: FieldInfo) -> str:
    """Return what a setting may be: its choices, or its type with its limits."""
    kind: Any = info.annotation
    if get_origin(kind) is Literal:
        return " ".join(f"`{choice}`" for choice in get_args(kind))
    kinds = [part for part in (get_args(kind) or (kind,)) if part is not type(None)]
    name = {Path: "path", SecretStr: "text", str: "text", int: "whole number", float: "number", bool: "on or off"}[kinds[0]]
    limits = []
    for rule in info.metadata:
        for key, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
            if (limit := getattr(rule, key, None)) is not None:
                limits.append(f"{sign} {limit}")
    return name + (f", {' and '.join(limits)}" if limits else "")


def section_of(info: FieldInfo) -> str:
    """Return the heading that a setting stands under."""
    extra = info.json_schema_extra
    return str(extra["section"]) if isinstance(extra, dict) else "Other"


def markdown() -> str:
    """Return the whole of docs/configuration.md."""
    parts = [_HEAD]
    section = ""
    for name, info in Settings.model_fields.items():
        if section_of(info) != section:
            section = section_of(info)
            parts.append(f"\n## {section}\n\n| flag | variable | default | values | what it does |\n|---|---|---|---|---|\n")
        shown = flag(name) + (f"` / `--no-{name.replace('_', '-')}" if info.annotation is bool else "")
        parts.append(f"| `{shown}` | `{variable(name)}` | {default_of(info)} | {values_of(info)} | {info.description} |\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(markdown())
