"""`liftgate stop` and `liftgate start`: the kill switch."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from liftgate.app.cli.asking import Asking, line, moment, said
from liftgate.app.cli.say import fail
from liftgate.app.cli.target import DEFAULT_TARGET, AsJson, Plaintext, Target, TimeoutS, TlsCa

_WRONG = 2
_NOT_REACHED = "To stop it now all the same, stop the servers; each drains on SIGTERM."


class What(StrEnum):
    """What can be stopped."""

    offer = "offer"
    group = "group"
    model = "model"
    everything = "all"


class WhatOrList(StrEnum):
    """What can be stopped, or the list of what is."""

    offer = "offer"
    group = "group"
    model = "model"
    everything = "all"
    list = "list"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name in the bundle; `all` has none.")]


def register(app: typer.Typer) -> None:
    """Add `stop` to the app."""
    app.command("stop")(stop)


def register_start(app: typer.Typer) -> None:
    """Add `start` to the app."""
    app.command("start")(start)


def stop(
    what: Annotated[WhatOrList, typer.Argument(help="What to stop; `list` shows what is stopped.")],
    name: Name = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit chain. Needed but for `list`.")] = "",
    unknown_name: Annotated[bool, typer.Option("--unknown-name", help="Stop a name that the bundle in force does not have.")] = False,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Stop an offer, a group, a model, or every use of profiles, on all workers of all replicas, within a second.

    A stopped offer or group is shown to nobody, whatever approves it. A stopped model scores nobody: its offers rank by their declared
    base rates. `all` stops personalisation: profiles are withheld, offers that need the profile's purpose are not shown, and context
    alone decides.

    Needs the token of any operator in LIFTGATE_TOKEN, and nobody's approval. Starting again does: `liftgate start`.

    Exit codes: 0 stopped (or listed), 1 the service did not answer, 2 it refused or the command was wrong.

    Example: liftgate stop offer gold-card --reason "wrong interest rate"

    Example: liftgate stop all --reason "complaint of the supervisor" --target decide.internal:7420 --tls-ca ca.pem
    """
    asking = Asking(target, tls_ca, plaintext, timeout_s, as_json)
    if what is WhatOrList.list:
        show(asking.ask("controls", "List"), as_json)
        return
    _check(what.value, name, reason, as_json)
    answer = asking.ask("controls", "Stop", _NOT_REACHED, kind=_kind(what.value), name=name, reason=reason, unknown_name=unknown_name)
    if as_json:
        typer.echo(json.dumps({"stopped": what.value, "name": name, **answer}, indent=2))
        return
    line(f"stopped: {_named(what.value, name)}", fg="green", bold=True)
    line(f"  everywhere within a second (controls version {answer['controls_version']}); `liftgate start` asks for the way back")


def start(
    what: Annotated[What, typer.Argument(help="What to start again.")],
    name: Name = "",
    reason: Annotated[str, typer.Option("--reason", help="Why it may be served again; kept in the audit chain. Needed.")] = "",
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Ask for something stopped to be started again. It starts when another person with the role `operator` approves that.

    Prints the review id that the other person gives to `liftgate review approve`. Needs the role `operator`, token in LIFTGATE_TOKEN.

    Exit codes: 0 asked for, 1 the service did not answer, 2 it refused (for example because nothing of this name is stopped).

    Example: liftgate start offer gold-card --reason "rate corrected"
    """
    _check(what.value, name, reason, as_json)
    answer = Asking(target, tls_ca, plaintext, timeout_s, as_json).ask(
        "controls", "Start", kind=_kind(what.value), name=name, reason=reason
    )
    if as_json:
        typer.echo(json.dumps({"asked_for": what.value, "name": name, **answer}, indent=2))
        return
    line(f"asked for: start {_named(what.value, name)} again. It is still stopped.", bold=True)
    line(f"  another operator starts it with: liftgate review approve {answer['review_id'][:12]}")


def _check(what: str, name: str, reason: str, as_json: bool) -> None:
    if not reason.strip():
        fail('--reason is needed: say why, for example --reason "wrong price"', _WRONG, as_json)
    if (what == "all") is bool(name):
        fail("`all` takes no name" if name else f"say which {what}: its name in the bundle", _WRONG, as_json)


def _kind(what: str) -> str:
    return f"CONTROL_KIND_{what.upper()}"


def _named(what: str, name: str) -> str:
    return "every use of profiles" if what == "all" else f"{what} {name}"


def show(answer: dict[str, Any], as_json: bool) -> None:
    """Print what is stopped."""
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    if not answer["known"]:
        line("This worker does not know what is stopped, so it shows nothing at all.", fg="red", bold=True)
    if not answer["stopped"]:
        line("Nothing is stopped.")
    for stop in answer["stopped"]:
        line(_named(stop["kind"].lower(), stop["name"]), fg="red", bold=True)
        line(f"  stopped by {stop['by']} on {moment(stop['at_ms'])}{said(stop['reason'])}")
        if stop["start_review_id"]:
            line(f"  asked to start again: another operator may `liftgate review approve {stop['start_review_id'][:12]}`")
