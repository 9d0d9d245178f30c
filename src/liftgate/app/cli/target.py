"""Options of commands that make privileged calls: where the service is, who calls, and how the way there is guarded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli.say import fail

DEFAULT_TARGET = "127.0.0.1:7420"
TOKEN_VARIABLE = "LIFTGATE_TOKEN"  # noqa: S105  # the variable's name
FAILED, WRONG = 1, 2

Target = Annotated[str, typer.Option("--target", envvar="LIFTGATE_TARGET", help="Where the service is, HOST:PORT.")]
TlsCa = Annotated[
    Path | None,
    typer.Option("--tls-ca", metavar="FILE", envvar="LIFTGATE_TLS_CA", help="Speak TLS; FILE holds the CA's certificates, PEM."),
]
Plaintext = Annotated[bool, typer.Option("--plaintext", help="Send the token to another machine without TLS.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TimeoutS = Annotated[float, typer.Option("--timeout-s", min=0.1, help="Longest wait for the answer, in s.")]


def token(as_json: bool = False) -> str:
    """Return the caller's token from the environment; ends the command when there is none."""
    found = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not found:
        fail(f"set {TOKEN_VARIABLE} to your token; `liftgate operators add NAME --role ROLE` makes one", WRONG, as_json)
    return found


def ca(path: Path | None, as_json: bool = False) -> bytes | None:
    """Return the CA's certificates; ends the command when they cannot be read."""
    try:
        return None if path is None else path.read_bytes()
    except OSError as err:
        fail(f"--tls-ca {path}: {err.strerror}", WRONG, as_json)


def code_of(error: Exception) -> int:
    """Return the exit code for a call that failed: the service was away, or it refused."""
    return FAILED if getattr(error, "code", "") in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL") else WRONG
