"""`liftgate audit`: read the chain of administrative acts, and prove that nobody edited, removed or moved any of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.record.audit import Head
    from liftgate.record.audit_verify import AuditVerdict

_HELP = """Read and verify the audit chain: who published, reloaded, approved, stopped, changed consent; when, in which role, and why.

Each record holds the hash of the one before, so none can be edited, removed or moved unnoticed. docs/operations.md says what is proven.

Example: liftgate audit verify /var/lib/liftgate/log --redis redis://127.0.0.1:6379/0
"""
_BROKEN, _WRONG = 1, 2

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("verify")
def verify(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Log directories, as `liftgate serve --log DIR` got them, or their audit/.")
    ],
    redis: Annotated[
        str | None, typer.Option("--redis", metavar="URL", help="Hold the chains to the heads that their writers kept in Redis.")
    ] = None,
    heads: Annotated[
        Path | None, typer.Option("--heads", metavar="FILE", help="Hold them to the heads of an earlier `verify --json`, kept elsewhere.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Not every directory of the fleet is given: heads of chains that lie elsewhere are skipped.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that the audit chain is whole: every record's hash, its place behind the one before, and every chain's head.

    Finds any record that was edited, removed, added or moved, and names its file and number. The end of a chain that no later chain
    names can only be held to heads that lie elsewhere: give --redis, or --heads. Give every directory that shares the Redis.

    Exit codes: 0 whole, 1 something is wrong, 2 the command was wrong, DIR holds no chain or Redis did not answer.

    Example: liftgate audit verify DIR --redis redis://127.0.0.1:6379/0

    Example: liftgate audit verify DIR --json > heads-2026-11.json; later: liftgate audit verify DIR --heads heads-2026-11.json
    """
    from liftgate.record.audit_verify import verify_audit

    folders = [_folder(directory, as_json) for directory in directories]
    notes: list[str] = []
    in_redis = _kept_in_redis(redis, folders if partial else None, notes, as_json)
    verdict = verify_audit(folders, in_redis, _kept_in_file(heads, as_json))
    verdict.notes += notes
    held = redis is not None or heads is not None
    if as_json:
        typer.echo(json.dumps(_document(verdict), indent=2))
    else:
        _print(verdict, held)
    if verdict.findings:
        raise typer.Exit(_BROKEN)


@app.command("cat")
def cat(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The log directory, or its audit/.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a record, hashes included.")] = False,
) -> None:
    """Print every act, oldest first. Verifies nothing: `liftgate audit verify` does.

    Exit codes: 0 printed, 2 DIR holds no chain.

    Example: liftgate audit cat DIR --json | jq 'select(.act == "publish")'
    """
    from datetime import UTC, datetime

    from liftgate.record.audit import act_name, plain
    from liftgate.record.audit_verify import read_audit

    rows = [record for _, record in read_audit(_folder(directory, as_json))]
    for record in sorted(rows, key=lambda one: (one.at_ms, one.writer_id, one.sequence)):
        if as_json:
            typer.echo(json.dumps(plain(record)))
            continue
        at = datetime.fromtimestamp(record.at_ms / 1_000, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
        role = f" ({record.role})" if record.role else ""
        digests = f"  {record.digest_before[:12] or '-'} -> {record.digest_after[:12] or '-'}"
        moved = digests if record.digest_before or record.digest_after else ""
        reason = f"  {json.dumps(record.reason)}" if record.reason else ""
        typer.echo(f"{at}  {act_name(record.act)}  {record.subject}  by {record.actor}{role}{moved}{reason}")


def _folder(directory: Path, as_json: bool) -> Path:
    """Return the directory of the chains; ends the command when there is none."""
    for folder in (directory / "audit", directory):
        if folder.is_dir() and (folder.name == "audit" or any(folder.glob("audit-*"))):
            return folder
    fail(f"{directory} holds no audit chain: give the log directory of a server, or its audit/", _WRONG, as_json)


def _kept_in_file(path: Path | None, as_json: bool) -> dict[bytes, Head]:
    from liftgate.record.audit import Head

    if path is None:
        return {}
    try:
        chains = json.loads(path.read_bytes())["chains"]
        return {bytes.fromhex(one["chain"]): Head(int(one["records"]) - 1, bytes.fromhex(one["head"])) for one in chains if one["head"]}
    except (OSError, ValueError, KeyError, TypeError) as err:
        fail(f"--heads {path} is no output of `liftgate audit verify --json` ({type(err).__name__})", _WRONG, as_json)


def _kept_in_redis(url: str | None, only: list[Path] | None, notes: list[str], as_json: bool) -> dict[bytes, Head]:
    """Return the heads in Redis; `only`: of chains that say they lie in one of these folders of this machine, or that are there."""
    import asyncio
    import socket

    from liftgate.adapters.redis_audit import KeptHead, kept_heads
    from liftgate.adapters.redis_client import connect
    from liftgate.domain.errors import StoreUnavailable

    if url is None:
        return {}

    async def read() -> tuple[dict[bytes, KeptHead], int]:
        client = connect(url, 5_000, 1)
        try:
            return await kept_heads(client)
        finally:
            await client.close()

    try:
        found, wrong = asyncio.run(read())
    except (ValueError, StoreUnavailable) as err:
        fail(f"--redis: {err}", _WRONG, as_json)
    if wrong:
        notes.append(f"Redis holds {counted(wrong, 'head')} that cannot be read")
    if only is None:
        return {writer_id: one.head for writer_id, one in found.items()}
    here = {(socket.gethostname(), str(folder.absolute())) for folder in only}
    names = {path.name for folder in only for path in folder.iterdir()}
    kept = {}
    for writer_id, one in found.items():
        if (one.host, one.directory) in here or any(writer_id.hex() in name for name in names):
            kept[writer_id] = one.head
        else:
            notes.append(f"chain {writer_id.hex()} lies in {one.directory} on {one.host} and was not looked at")
    return kept


def _document(verdict: AuditVerdict) -> dict[str, object]:
    return {
        "whole": not verdict.findings,
        "findings": [asdict(finding) for finding in verdict.findings],
        "notes": verdict.notes,
        "files": verdict.files,
        "records": verdict.records,
        "chains": [
            {
                "chain": chain.writer_id.hex(),
                "records": len(chain.hashes),
                "head": chain.head.hash.hex() if chain.head else "",
                "first_at_ms": chain.first_at_ms,
                "last_at_ms": chain.last_at_ms,
            }
            for chain in verdict.chains.values()
        ],
    }


def _print(verdict: AuditVerdict, held: bool) -> None:
    for note in verdict.notes:
        typer.echo(f"note: {note}")
    for finding in verdict.findings:
        typer.secho(str(finding), fg="red")
    counts = f"{counted(verdict.records, 'record')}, {counted(len(verdict.chains), 'chain')}"
    if verdict.findings:
        typer.secho(f"not whole: {counted(len(verdict.findings), 'finding')} in {counts}", fg="red")
        return
    typer.secho(f"whole: {counts}", fg="green")
    if not held:
        typer.echo("held to no head kept elsewhere, so the newest chains' ends are not proven: give --redis or --heads")
