"""`liftgate person`: what a person may ask for: everything held about them, or to be forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import DEFAULT_TARGET, FAILED, WRONG, AsJson, Plaintext, Target, TlsCa, ca, code_of, token

_HELP = """What a person may ask for: to see everything that is held about them, and to be forgotten.

docs/privacy.md says what is kept of a person, what erasing takes away, and what it leaves.
"""
app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
Person = Annotated[str, typer.Argument(metavar="ID", help="The person's id.")]


@app.command("erase")
def erase(
    person: Person,
    account: Annotated[
        str, typer.Option("--account", metavar="ID", help="Their account, where it is theirs alone: its counters go too.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="For the audit chain, such as a ticket's number. No personal data.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking. It cannot be undone.")] = False,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", min=1.0, help="Longest wait, in s: every key of the store is looked at.")
    ] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Forget a person, for good.

    Profile, consent and its history, lists, counters, features, verdicts, remembered answers and seen events are removed from the store,
    and with them the person's key: from then on nothing leads from the id to a row of the decision log, the event log or the audit chain,
    in segments, Parquet or backups. Counts over everybody stay as they are. What happened before and is told later is refused, and
    what a stale load stores is not read, until a new consent is set.

    Needs a token with the role `privacy` in LIFTGATE_TOKEN. The receipt names the act in the audit chain and says nothing of the person.
    It is safe to repeat: do so when it fails halfway.

    Exit codes: 0 done, 1 the service or its store is away, 2 the command was wrong or refused.

    Example: liftgate person erase c-17 --reason "ticket 4711" --yes
    """
    from liftgate.adapters.admin_client import CallFailed, WouldLeak
    from liftgate.adapters.consent_client import ConsentClient

    held, authority = token(as_json), ca(tls_ca, as_json)
    if not yes:
        if as_json:
            fail("say --yes: erasing cannot be undone", WRONG, as_json)
        typer.confirm(f"Forget {person} for good?", abort=True)
    try:
        with ConsentClient(target, held, tls_ca=authority, plaintext=plaintext, timeout_s=timeout_s) as client:
            done = client.erase(person, account, reason)
    except (CallFailed, WouldLeak) as err:
        fail(str(err), code_of(err), as_json)
    if as_json:
        typer.echo(json.dumps({"receipt": done.receipt, "removed": done.removed}, indent=2))
    else:
        typer.echo(f"forgotten: {done.removed:,} stored values are gone; receipt {done.receipt}")


@app.command("export")
def export(
    person: Person,
    log: Annotated[Path | None, typer.Option("--log", metavar="DIR", help="Directory of the logs; absent: the store alone.")] = None,
    redis: Annotated[
        str, typer.Option("--redis", envvar="LIFTGATE_REDIS", help="Where people are stored, a URL as of `serve`.")
    ] = "redis://127.0.0.1:6379/0",
    key: Annotated[
        Path | None,
        typer.Option(
            "--pseudonym-key-file",
            metavar="FILE",
            help="Key of the log's pseudonyms; absent: LIFTGATE_PSEUDONYM_KEY, or keys/pseudonym.key beside the log.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="DIR", help="Gives features and caps names and values; absent: they are hexadecimal.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print everything that is held about a person, as JSON: an access request.

    From the store: profile, consent and its history, lists, counters, features, verdicts, decisions under review, remembered answers,
    events seen. From the logs: each decision and each event of theirs. Whoever has the store, the logs and their key sees all of it
    anyway, so no token is asked for.

    Exit codes: 0 printed, 1 the store is away, 2 the command was wrong.

    Example: liftgate person export c-17 --redis redis://store.example:6379/0 --log log --bundle my-bundle > c-17.json
    """
    import asyncio

    from liftgate.adapters.redis_client import connect
    from liftgate.adapters.system import SystemClock
    from liftgate.app.cli.log_key import key_of_log
    from liftgate.app.person_export import held, pseudonyms, rows
    from liftgate.bundle.load import load_bundle
    from liftgate.domain.errors import BadInput, StoreUnavailable

    secret = None if log is None else key_of_log(log, key, "without the key nobody in the log can be told", as_json)

    async def read() -> tuple[dict[str, Any], set[bytes]]:
        loaded = None if bundle is None else load_bundle(bundle, None)
        client = connect(redis, 5_000, 1)
        try:
            return await held(client, person, loaded, SystemClock()), set() if secret is None else await pseudonyms(client, secret, person)
        finally:
            await client.close()

    try:
        stored, theirs = asyncio.run(read())
    except StoreUnavailable as err:
        fail(str(err), FAILED, as_json)
    except (BadInput, ValueError) as err:
        fail(str(err), WRONG, as_json)
    found: dict[str, Any] = {"person_id": person, "stored": stored}
    if log is not None:
        try:
            found |= {f"{stream}s": list(rows(log, stream, theirs)) for stream in ("decision", "event")}
        except ImportError:
            fail("reading a log wants pyarrow: pip install 'liftgate[offline]'", WRONG, as_json)
        except OSError as err:
            fail(f"--log {log}: {err.strerror}", WRONG, as_json)
    typer.echo(json.dumps(found, indent=2))
