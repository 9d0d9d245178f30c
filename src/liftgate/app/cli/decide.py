"""`liftgate decide`: one decision from a running service, and why."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from liftgate.app.cli.say import fail

if TYPE_CHECKING:
    from liftgate.client import Decision

DEFAULT_TARGET = "127.0.0.1:7420"
_REFUSED, _AWAY = 2, 1


def register(app: typer.Typer) -> None:
    """Add `decide` to the app."""
    app.command("decide")(decide)


def decide(
    person: Annotated[str, typer.Option("--person", help="The person's id.")],
    placement: Annotated[str, typer.Option("--placement", help="The placement's name in the bundle.")],
    explain: Annotated[bool, typer.Option("--explain", help="Say why this offer and why not the others.")] = False,
    slots: Annotated[int, typer.Option("--slots", min=0, help="How many offers; 0: the placement's slots.")] = 0,
    channel: Annotated[str, typer.Option("--channel", help="Where it will be shown: web, app, email, ...")] = "",
    account: Annotated[str, typer.Option("--account", help="The person's account or household.")] = "",
    session: Annotated[str, typer.Option("--session", help="The visit, for layers drawn by session.")] = "",
    visitor: Annotated[str, typer.Option("--visitor", help="The device or browser, for layers drawn by visitor.")] = "",
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", help="Whose law holds, as the bundle names it: EU, US-CA, ...")] = "",
    attribute: Annotated[list[str] | None, typer.Option("--attribute", help="A context attribute, NAME=VALUE; may be repeated.")] = None,
    baseline: Annotated[
        list[str] | None, typer.Option("--baseline", help="An offer of your own choice, for an apprentice placement; may be repeated.")
    ] = None,
    deferred: Annotated[bool, typer.Option("--deferred", help="Count nothing before an exposure.")] = False,
    gpc: Annotated[bool, typer.Option("--gpc", help="The request carries Sec-GPC: 1.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Walk every stage; charge no cap and record nothing.")] = False,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Idempotency key; absent: a new one.")] = None,
    target: Annotated[str, typer.Option("--target", envvar="LIFTGATE_TARGET", help="Where the service is, HOST:PORT.")] = DEFAULT_TARGET,
    timeout_ms: Annotated[float, typer.Option("--timeout-ms", min=1, help="Budget of the call, in ms, retries included.")] = 2_000.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a running service for one decision.

    Attribute values are numbers or true and false where they look like it, else text; NAME="5" in quotes is text.

    Exit codes: 0 answered, 1 the service did not answer, 2 it refused the request or the command was wrong.

    Example: liftgate decide --person ada --placement home.hero --channel web --explain
    """
    from liftgate.client import Client, RequestRefused

    try:
        attributes = dict(parse_attribute(one) for one in attribute or ())
    except ValueError as err:
        fail(f"--attribute: {err}", _REFUSED, as_json)
    try:
        with Client(target, timeout_ms=timeout_ms) as client:
            decision = client.decide(
                person,
                placement,
                slot_count=slots,
                channel=channel,
                jurisdiction=jurisdiction,
                account_id=account,
                session_id=session,
                visitor_id=visitor,
                attributes=attributes,
                global_privacy_control=gpc,
                explain=explain,
                dry_run=dry_run,
                baseline_offers=baseline or (),
                deferred=deferred,
                request_id=request_id,
            )
    except RequestRefused as err:
        mistakes = "\n".join(f"  {one.field}: {one.description}" for one in err.violations)
        fail(f"the service refused the request ({err.status})\n{mistakes or err}", _REFUSED, as_json)
    if not decision.from_service:
        fail(silence(decision, target, timeout_ms), _AWAY, as_json)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(decision), indent=2))
    else:
        show(decision)


def parse_attribute(text: str) -> tuple[str, str | int | float | bool]:
    """Return name and value of NAME=VALUE. Raises ValueError with what is wanted."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"wants NAME=VALUE, not {text!r}")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    return name, parsed if isinstance(parsed, (str, bool, int, float)) else value


def show(decision: Decision) -> None:
    """Print a decision for a person to read."""
    from rich.console import Console
    from rich.text import Text

    from liftgate.app.cli.explain_print import show_candidates

    console = Console(highlight=False)
    offers = ", ".join(offer.offer_id + (" (default)" if offer.is_default else "") for offer in decision.offers) or "nothing"
    head = Text.assemble(("Show: ", "bold"), (offers, "bold green" if decision.offers else "bold yellow"))
    if decision.degraded:
        head.append("  degraded", style="bold red")
    console.print(head)
    if decision.explanation is not None:
        console.print(Text(decision.explanation.summary))
    for label, value in (
        ("reason", decision.reason.lower()),
        ("arm", decision.arm.lower()),
        ("branch", decision.branch.lower()),
        ("decision", decision.decision_id or "none: a dry run"),
        ("bundle", decision.bundle_digest[:12]),
    ):
        console.print(Text.assemble((f"  {label:<9}", "dim"), value))
    if decision.explanation is None:
        return
    show_candidates(console, decision.explanation.data)
    if decision.explanation.masked_paths:
        withheld = ", ".join(decision.explanation.masked_paths)
        console.print(Text(f"withheld, for want of consent or because it is stopped: {withheld}", style="yellow"))


def silence(decision: Decision, target: str, timeout_ms: float) -> str:
    """Return why a decision is not the service's, in words."""
    if "refused" in decision.detail.lower():
        return f"nothing listens on {target} (connection refused); is `liftgate serve` running there?"
    if decision.status == "DEADLINE_EXCEEDED":
        return f"no answer from {target} within {timeout_ms:g} ms ({decision.status}); is `liftgate serve` running there?"
    return f"no answer from {target} ({decision.status}: {decision.detail or 'no more is known'}); is `liftgate serve` running there?"
