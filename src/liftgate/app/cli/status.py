"""`liftgate status`: what each worker of each replica runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import DEFAULT_TARGET, FAILED, WRONG, AsJson, Plaintext, Target, TimeoutS, TlsCa, ca, code_of, token
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.adapters.fleet import Reported


def register(app: typer.Typer) -> None:
    """Add `status` to the app."""
    app.command("status")(status)


def status(
    target: Target = DEFAULT_TARGET,
    redis: Annotated[
        str | None, typer.Option("--redis", metavar="URL", help="Ask the fleet's Redis instead of a service; needs no token.")
    ] = None,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 5.0,
    as_json: AsJson = False,
) -> None:
    """Say which bundle each worker of each replica runs, since when, and what its last reload said.

    Workers report to Redis every 5 s and after each reload; one that was silent for a minute is gone. Without --redis a service is
    asked, which needs an operator's token in LIFTGATE_TOKEN, any role.

    Exit codes: 0 all workers run one bundle and one version, 1 they do not, or there was no answer, 2 the command was wrong or refused.

    Example: liftgate status --target 127.0.0.1:7420

    Example: liftgate status --redis redis://127.0.0.1:6379/0 --json | jq .agree
    """
    from liftgate.adapters.fleet import agree

    models: Sequence[tuple[str, int, str]] = ()
    fleet: Sequence[Reported]
    alone = False
    if redis is not None:
        fleet = _from_redis(redis, timeout_s, as_json)
    else:
        fleet, models, alone = _from_service(target, token(as_json), ca(tls_ca, as_json), plaintext, timeout_s, as_json)
    agrees = agree(fleet)
    if as_json:
        document = {
            "agree": agrees,
            "alone": alone,
            "workers": [asdict(one.state) | {"silent_ms": one.silent_ms} for one in fleet],
            "models": [{"model": name, "version": version, "sha256": sha256} for name, version, sha256 in models],
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        _print(fleet, models, agrees, alone)
    if not agrees:
        raise typer.Exit(FAILED)


def _from_redis(url: str, timeout_s: float, as_json: bool) -> Sequence[Reported]:
    import asyncio

    from liftgate.adapters.redis_client import connect
    from liftgate.adapters.redis_fleet import RedisFleet
    from liftgate.domain.errors import StoreUnavailable

    async def read() -> Sequence[Reported]:
        client = connect(url, timeout_s * 1_000, 1)
        try:
            return await RedisFleet(client, timeout_s).read()
        finally:
            await client.close()

    try:
        return asyncio.run(read())
    except ValueError as err:
        fail(f"--redis: {err}", WRONG, as_json)
    except StoreUnavailable as err:
        fail(f"--redis: no answer ({err})", FAILED, as_json)


def _from_service(
    target: str, bearer: str, tls_ca: bytes | None, plaintext: bool, timeout_s: float, as_json: bool
) -> tuple[Sequence[Reported], Sequence[tuple[str, int, str]], bool]:
    from liftgate.adapters.admin_client import AdminClient, CallFailed, WouldLeak
    from liftgate.adapters.fleet import Reported

    try:
        with AdminClient(target, bearer, tls_ca=tls_ca, plaintext=plaintext, timeout_s=timeout_s) as client:
            said = client.status()
    except (CallFailed, WouldLeak) as err:
        fail(str(err), code_of(err), as_json)
    # Without Redis a worker knows of itself alone.
    return said.fleet or [Reported(said.worker, 0)], said.models, not said.fleet


def _print(fleet: Sequence[Reported], models: Sequence[tuple[str, int, str]], agrees: bool, alone: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not fleet:
        console.print("no worker reports to this Redis")
        return
    digests = [one.state.digest for one in fleet]
    most = max(set(digests), key=lambda digest: (digests.count(digest), digest))
    table = Table(box=None, header_style="bold")
    for heading in ("host:port", "pid", "bundle", "digest", "since", "version", "last reload"):
        table.add_column(heading, overflow="fold")
    for one in fleet:
        state = one.state
        odd = "" if state.digest == most else "bold red"
        since = datetime.fromtimestamp(state.since_ms / 1_000, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
        table.add_row(
            Text(f"{state.host}:{state.port}"),
            str(state.pid),
            Text(state.bundle),
            Text(state.digest[:12] + (" <- differs" if odd else ""), style=odd),
            since,
            state.version,
            Text(_last(one), style="red" if "refused" in _last(one) else ""),
        )
    console.print(table)
    for name, version, sha256 in models:
        console.print(f"model {name} version {version}, sha256 {sha256[:12]}", markup=False)
    if agrees:
        console.print(f"{counted(len(fleet), 'worker')}, one bundle", style="green")
    else:
        versions: Any = {one.state.version for one in fleet}
        console.print(f"workers disagree: {counted(len(set(digests)), 'bundle')}, {counted(len(versions), 'version')}", style="bold red")
    if alone:
        console.print("Redis did not answer the service: only the worker that was asked is shown, there may be more", style="yellow")


def _last(one: Reported) -> str:
    last = one.state.last_reload
    said = "none" if last is None else f"{last.result} by {last.actor}"
    if last is not None and last.mistakes:
        said += f": {last.mistakes[0].place}" + (f" and {len(last.mistakes) - 1} more" if len(last.mistakes) > 1 else "")
    return said + (f"; silent for {one.silent_ms // 1_000} s" if one.silent_ms > 15_000 else "")
