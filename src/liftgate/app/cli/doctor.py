"""`liftgate doctor`: is everything there that a service needs, and what does a person cost?"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.profiles import DEFAULT_REDIS, AsJson, BundleDirectory, Models
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.app.doctor import Diagnosis
    from liftgate.bundle.compiled import Bundle

_WRONG_HERE, _MISUSE = 1, 2
_BUDGET_MS = 5_000.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    bundle: BundleDirectory,
    redis: Annotated[
        str, typer.Option("--redis", metavar="URL", envvar="LIFTGATE_REDIS", help="The store; `embedded`: a Valkey made for this alone.")
    ] = DEFAULT_REDIS,
    models: Models = None,
    log: Annotated[Path | None, typer.Option("--log", metavar="DIR", envvar="LIFTGATE_LOG", help="The log's directory.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at everything that a service needs, and measure what people cost in memory.

    Looks at the bundle and its models, the store (reachable, version, eviction, clock, rights; of a Cluster each server,
    and what it does while another is away) and the log's directory. Then stores what
    one person has under this bundle, asks the server what it takes (MEMORY USAGE), removes it, and says what 10^6 people take. Nothing
    that is stored is read or changed.

    Exit codes: 0 all is well, 1 something is wrong (each finding says the mend), 2 the command or the bundle is wrong.

    Example: liftgate doctor --bundle my-bundle --redis redis://localhost

    Example: liftgate doctor --bundle my-bundle --redis embedded --json | jq .memory
    """
    from liftgate.adapters.onnx_models import OnnxModels
    from liftgate.app.doctor import versions
    from liftgate.app.doctor_servers import Finding
    from liftgate.bundle.load import check_bundle
    from liftgate.domain.errors import BadInput

    checked = check_bundle(bundle, models)
    if checked.bundle is None:
        fail("\n".join(map(str, checked.mistakes)), _MISUSE, as_json)
    loaded = checked.bundle
    findings = [
        Finding(
            "bundle",
            True,
            f"{loaded.name} {loaded.digest[:12]}: {counted(len(loaded.offers), 'offer')}, {counted(len(loaded.streams), 'live feature')}",
        )
    ]
    findings += [Finding("bundle", True, str(caution)) for caution in checked.cautions]
    try:
        OnnxModels.load(loaded)
        findings.append(Finding("models", True, f"{len(loaded.models)} agree with their golden vectors"))
    except BadInput as error:
        findings.append(Finding("models", False, str(error), "export the model again"))
    if log is not None:
        findings.append(_log(log))
    diagnosis = _store(redis, loaded, as_json)
    findings += diagnosis.findings
    fine = all(one.fine for one in findings)
    if as_json:
        memory = [asdict(one) | {"gb_a_million": round(one.gb_a_million, 3)} for one in diagnosis.memory]
        said: dict[str, Any] = {"fine": fine, "versions": versions(), "findings": [asdict(one) for one in findings], "memory": memory}
        typer.echo(json.dumps(said, indent=2))
    else:
        for name, version in versions().items():
            typer.echo(f"{name} {version}", nl=False)
            typer.echo("  ", nl=False)
        typer.echo()
        for one in findings:
            typer.echo(f"{'ok ' if one.fine else 'NO '} {one.what}: {one.said}" + (f"; {one.mend}" if one.mend else ""))
        if diagnosis.memory:
            typer.echo(f"Memory a person, by MEMORY USAGE{f' of {diagnosis.server}' if diagnosis.server else ''}:")
            width = max(len(one.what) for one in diagnosis.memory)
            for each in diagnosis.memory:
                typer.echo(f"  {each.what:{width}}  {each.measured_bytes:>8,} bytes   10^6 people: {each.gb_a_million:.2f} GB")
    if not fine:
        raise typer.Exit(_WRONG_HERE)


def _log(path: Path) -> Any:
    import os
    import shutil

    from liftgate.app.doctor_servers import Finding

    if not path.is_dir():
        return Finding("log", False, f"{path} is no folder", "make it, or correct --log")
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding("log", False, f"{path} cannot be written to", "let the service's user write there")
    free = shutil.disk_usage(path).free
    return Finding(
        "log",
        free > 1e9,
        f"{path} can be written to, {free / 1e9:.1f} GB free",
        "" if free > 1e9 else "make room: a full disk stops decisions",
    )


def _store(redis: str, bundle: Bundle, as_json: bool) -> Diagnosis:
    from contextlib import ExitStack

    from liftgate.adapters.redis_client import connect
    from liftgate.app.doctor import Diagnosis, examine
    from liftgate.app.doctor_servers import Finding
    from liftgate.domain.errors import StoreUnavailable

    async def look(url: str) -> Diagnosis:
        client = connect(url, _BUDGET_MS, 1)
        try:
            return await examine(client, bundle)
        finally:
            await client.close()

    with ExitStack() as stack:
        if redis == "embedded":
            from liftgate.adapters.embedded_valkey import EmbeddedValkey

            redis = stack.enter_context(EmbeddedValkey()).url
        try:
            return asyncio.run(look(redis))
        except StoreUnavailable as error:
            return Diagnosis([Finding("store", False, str(error), "start it, or correct --redis")])
        except ValueError as error:
            fail(f"--redis: {error}", _MISUSE, as_json)
