"""`liftgate reload`: make every worker of a server read its bundle again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import DEFAULT_TARGET, FAILED, AsJson, Plaintext, Target, TimeoutS, TlsCa, ca, code_of, token

if TYPE_CHECKING:
    from liftgate.adapters.fleet import Outcome


def register(app: typer.Typer) -> None:
    """Add `reload` to the app."""
    app.command("reload")(reload)


def reload(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit chain.")] = "",
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 90.0,
    as_json: AsJson = False,
) -> None:
    """Make every worker of a server read its bundle and its operators again, and say what each of them said.

    The bundle is compiled aside and swapped whole; with any mistake in it the old one stays, and every mistake is named with its file,
    its line and its mend. Other replicas are not touched: each reads its own files. Needs the role `admin`, token in LIFTGATE_TOKEN.

    Exit codes: 0 swapped or unchanged everywhere, 1 a worker kept the old one, or there was no answer, 2 the command was wrong or refused.

    Example: liftgate reload --reason "autumn offers"
    """
    from liftgate.adapters.admin_client import AdminClient, CallFailed, WouldLeak

    try:
        with AdminClient(target, token(as_json), tls_ca=ca(tls_ca, as_json), plaintext=plaintext, timeout_s=timeout_s) as client:
            outcomes = client.reload(reason)
    except (CallFailed, WouldLeak) as err:
        fail(str(err), code_of(err), as_json)
    good = show_outcomes(outcomes, as_json)
    if not good:
        raise typer.Exit(FAILED)


def show_outcomes(outcomes: Sequence[Outcome], as_json: bool) -> bool:
    """Print what each worker said, and return whether none refused or was silent."""
    good = all(one.result in ("swapped", "unchanged") for one in outcomes)
    if as_json:
        typer.echo(json.dumps({"good": good, "workers": [asdict(one) for one in outcomes]}, indent=2))
        return good
    for one in outcomes:
        if one.result == "swapped":
            typer.echo(f"worker {one.worker_id}: swapped, {one.digest_before[:12]} -> {one.digest[:12]}")
        elif one.result == "unchanged":
            typer.echo(f"worker {one.worker_id}: unchanged, {one.digest[:12]}")
        else:
            typer.echo(f"worker {one.worker_id or '?'}: {one.result}, kept {one.digest[:12] or 'what it had'}", err=True)
            for mistake in one.mistakes:
                typer.echo(f"  {mistake}", err=True)
            if one.cause:
                typer.echo(f"  {one.cause}", err=True)
    return good
