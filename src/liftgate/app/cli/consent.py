"""`liftgate consent`: what a person has agreed to, read and set through a running service."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import (
    DEFAULT_TARGET,
    FAILED,
    TOKEN_VARIABLE,
    WRONG,
    AsJson,
    Plaintext,
    Target,
    TimeoutS,
    TlsCa,
    ca,
    code_of,
)

if TYPE_CHECKING:
    from liftgate.adapters.consent_client import ConsentClient
    from liftgate.domain.consent_record import ConsentRecord

_HELP = f"""Read and set what a person has agreed to, through a running service.

A change holds from the next decision on, on every worker, and is in the audit chain. Where the service names a role for this
(--consent-role) your token is taken from {TOKEN_VARIABLE}. docs/guardrails.md says what each status means for decisions.
"""
_TIME = "as 2026-05-01T00:00:00Z, or `now`"

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
Person = Annotated[str, typer.Option("--person", metavar="ID", help="The person's id.")]


@app.command("get")
def get(
    person: Person,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 5.0,
    as_json: AsJson = False,
) -> None:
    """Show what is on record about one person, purpose by purpose.

    A purpose without a record is a no, unless the bundle declares a default for the person's jurisdiction.

    Exit codes: 0 shown, 1 the service or its store is away, 2 the command was wrong or refused, or what is stored cannot be read.

    Example: liftgate consent get --person c-17
    """
    from liftgate.adapters.admin_client import CallFailed, WouldLeak

    try:
        with _client(target, tls_ca, plaintext, timeout_s, as_json) as client:
            found = client.get(person)
    except (CallFailed, WouldLeak) as err:
        fail(str(err), code_of(err), as_json)
    if as_json:
        typer.echo(json.dumps({"person_id": person, "consents": {name: _plain(record) for name, record in found.items()}}, indent=2))
        return
    if not found:
        typer.echo("nothing is on record")
    for name, record in found.items():
        typer.echo(f"{name}: {words(record)}")


@app.command("set")
def set_(
    person: Person,
    purpose: Annotated[str, typer.Option("--purpose", help="A purpose of the bundle.")],
    status: Annotated[str, typer.Option("--status", help="granted, denied, withdrawn, expired, pending or objected.")],
    basis: Annotated[str, typer.Option("--basis", help="Lawful basis: consent, contract, legitimate_interests, ...")] = "",
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", help="Whose law, as the bundle names it: EU, US-CA, ...")] = "",
    source: Annotated[str, typer.Option("--source", help="Where it was collected: checkout, call-centre, ...")] = "",
    mechanism: Annotated[str, typer.Option("--mechanism", help="How: double-opt-in, by-phone, ...")] = "",
    notice_version: Annotated[str, typer.Option("--notice-version", help="Version of the notice that the person saw.")] = "",
    policy_version: Annotated[str, typer.Option("--policy-version", help="Version of the policy that was agreed to.")] = "",
    given_at: Annotated[str, typer.Option("--given-at", metavar="ISO", help=f"When it was given, {_TIME}; absent: unknown.")] = "",
    expires_at: Annotated[str, typer.Option("--expires-at", metavar="ISO", help="When it runs out; absent: it does not.")] = "",
    withdrawn_at: Annotated[
        str, typer.Option("--withdrawn-at", metavar="ISO", help=f"When it was withdrawn, {_TIME}; absent: now, where the status says so.")
    ] = "",
    replace_unreadable: Annotated[
        bool, typer.Option("--replace-unreadable", help="Overwrite what is stored even where it cannot be read.")
    ] = False,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 5.0,
    as_json: AsJson = False,
) -> None:
    """Put one purpose's consent on record, in the place of the old record. Other purposes stay as they are.

    Exit codes: 0 it holds, 1 the service, its store or its audit chain is away, 2 the command was wrong or refused.

    Example: liftgate consent set --person c-17 --purpose marketing_email --status withdrawn --source call-centre

    Example: liftgate consent set --person c-17 --purpose personalization --status granted --given-at now --basis consent --jurisdiction EU
    """
    from liftgate.adapters.admin_client import CallFailed, WouldLeak
    from liftgate.domain.consent_record import ConsentRecord

    record = ConsentRecord(
        purpose=purpose,
        status=status,
        basis=basis,
        jurisdiction=jurisdiction,
        source=source,
        mechanism=mechanism,
        notice_version=notice_version,
        policy_version=policy_version,
        given_at_ms=_moment("given-at", given_at, as_json),
        expires_at_ms=_moment("expires-at", expires_at, as_json),
        withdrawn_at_ms=_moment("withdrawn-at", withdrawn_at, as_json),
    )
    mistakes = [f"--{name.removesuffix('_ms').replace('_', '-')} {what}" for name, what in record.mistakes()]
    if mistakes:
        fail("\n".join(mistakes), WRONG, as_json)
    try:
        with _client(target, tls_ca, plaintext, timeout_s, as_json) as client:
            client.set(person, record, replace_unreadable)
    except (CallFailed, WouldLeak) as err:
        fail(str(err), code_of(err), as_json)
    if as_json:
        typer.echo(json.dumps({"person_id": person, "set": _plain(record)}, indent=2))
    else:
        typer.echo(f"{purpose}: {words(record)}; it holds from the next decision on")


@app.command("history")
def history(
    person_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The same as --person.")] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="ID", help="The person's id.")] = None,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 5.0,
    as_json: AsJson = False,
) -> None:
    """Show every change of one person's consent that went through this service, and verify that none was edited, taken out or moved.

    Each entry names the hash of the one before. It also says where the document was written past the service, as `profiles load` does.
    That the newest entries were cut off shows as such a place too; `liftgate audit cat` has every change by its document's digest.

    Exit codes: 0 whole, 1 the history does not hold together, or the service is away, 2 the command was wrong or refused.

    Example: liftgate consent history --person c-17
    """
    from liftgate.adapters.admin_client import CallFailed, WouldLeak
    from liftgate.app.cli.consent_history import told

    if (person is None) == (person_id is None):
        fail("say whose, once: --person ID", WRONG, as_json)
    person = person or person_id or ""
    try:
        with _client(target, tls_ca, plaintext, timeout_s, as_json) as client:
            found = told(client.history(person))
    except (CallFailed, WouldLeak) as err:
        fail(str(err), code_of(err), as_json)
    if as_json:
        typer.echo(json.dumps({"person_id": person, **found.plain}, indent=2))
    else:
        for line in found.lines:
            typer.echo(line)
    raise typer.Exit(0 if found.whole else FAILED)


def words(record: ConsentRecord | None) -> str:
    """Return a record in words."""
    if record is None:
        return "cannot be read, so no"
    times = [(f"{label} {_iso(at)}") for label, at in _times(record) if at is not None]
    named = ("basis", "jurisdiction", "source", "mechanism", "notice_version", "policy_version")
    texts = [f"{name.replace('_', ' ')} {text}" for name in named if (text := getattr(record, name))]
    return ", ".join([record.status, *times, *texts])


def _times(record: ConsentRecord) -> list[tuple[str, int | float | None]]:
    return [("given", record.given_at_ms), ("until", record.expires_at_ms), ("withdrawn", record.withdrawn_at_ms)]


def _plain(record: ConsentRecord | None) -> dict[str, Any] | None:
    return None if record is None else record.stored()


def _iso(at_ms: float) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "at a time out of range"


def _moment(flag: str, text: str, as_json: bool) -> int | None:
    from liftgate.bundle.duration import timestamp_ms

    if not text:
        return None
    if text == "now":
        return int(time.time() * 1000)
    try:
        return timestamp_ms(text)
    except ValueError as err:
        fail(f"--{flag} {err}", WRONG, as_json)


def _client(target: str, tls_ca: Any, plaintext: bool, timeout_s: float, as_json: bool) -> ConsentClient:
    import os

    from liftgate.adapters.consent_client import ConsentClient

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    return ConsentClient(target, token, tls_ca=ca(tls_ca, as_json), plaintext=plaintext, timeout_s=timeout_s)
