"""How commands fail: plain words on stderr, or JSON where JSON was asked for, and an exit code."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import typer


def fail(words: str, code: int, as_json: bool = False) -> NoReturn:
    """Say what went wrong and end with the code."""
    text = json.dumps({"error": words}) if as_json else f"liftgate: {words}"
    print(text, file=sys.stderr)
    raise typer.Exit(code)
