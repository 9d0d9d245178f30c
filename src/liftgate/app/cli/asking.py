"""What commands that stop, start and review share: one privileged call, its failure in plain words, and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import FAILED, ca, code_of, token


class Asking:
    """One service to ask. `tls_ca`, `plaintext` and `timeout_s` are the options of every privileged command."""

    def __init__(self, target: str, tls_ca: Path | None, plaintext: bool, timeout_s: float, as_json: bool) -> None:
        self._target, self._tls_ca, self._plaintext, self._timeout_s, self._as_json = target, tls_ca, plaintext, timeout_s, as_json

    def ask(self, service: str, method: str, advice: str = "", **request: Any) -> dict[str, Any]:
        """Make one call of ControlService or ReviewService. Ends the command when it fails, with `advice` where it may work later."""
        from liftgate.adapters.admin_client import CallFailed, WouldLeak
        from liftgate.adapters.operator_calls import CONTROLS, REVIEWS, OperatorCalls

        described = CONTROLS if service == "controls" else REVIEWS
        given, authority = token(self._as_json), ca(self._tls_ca, self._as_json)
        try:
            with OperatorCalls(self._target, given, tls_ca=authority, plaintext=self._plaintext, timeout_s=self._timeout_s) as calls:
                return calls.ask(described, method, request)
        except (CallFailed, WouldLeak) as err:
            code = code_of(err)
            fail(f"{err}\n{advice}" if advice and code == FAILED else str(err), code, self._as_json)


def moment(ms: int) -> str:
    """Return a time in UTC; empty: none."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if 0 < ms < 2**48 else ""


def said(text: str) -> str:
    """Return `: text`, or nothing."""
    return f": {text}" if text else ""


def line(text: str = "", **style: Any) -> None:
    """Print one line, styled where the terminal can."""
    typer.secho(text, **style)
