"""`liftgate events`: tell a service what happened, from files of other tools."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import DEFAULT_TARGET, AsJson, Target, TlsCa, ca
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.client import Client, Event
    from liftgate.client.request import EventKindName

_HELP = """Tell a service what happened: exposures, clicks, purchases, e-mail signals and events of your own.

docs/signals.md explains signals and has the tables by which calls of other tools become events.
"""
_SOME, _WRONG = 1, 2
_SHOWN, _LISTED, _BATCH = 10, 1_000, 500
_FORMATS = ("segment", "rudderstack", "cloudevents", "liftgate")

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep `import` a subcommand although it is the only one."""


@dataclass
class Told:
    """What became of a file."""

    lines: int = 0
    """With something on them."""
    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    revoked: int = 0
    uncounted: int = 0
    dropped_properties: int = 0
    bad: int = 0
    bad_lines: list[dict[str, Any]] = field(default_factory=list)
    """The first so many: line, field, wants."""
    skipped: Counter[str] = field(default_factory=Counter)

    def refuse(self, line: int, name: str, wants: str) -> None:
        """Note a line that was not taken."""
        self.bad += 1
        if len(self.bad_lines) < _LISTED:
            self.bad_lines.append({"line": line, "field": name, "wants": wants})


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON objects, one a line, UTF-8; .gz is unpacked.")],
    form: Annotated[str, typer.Option("--format", help=f"What the lines are: {', '.join(_FORMATS)}.")] = "liftgate",
    event: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="NAME=SIGNAL", help="Map a further name of the file to a kind or a declared custom event."),
    ] = None,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    timeout_s: Annotated[float, typer.Option("--timeout-s", min=0.1, help="Longest wait for a batch, retries included, in s.")] = 10.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and map everything, and send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a file of events to a service, through its API.

    Lines keep the ids of the tool that wrote them, so importing a file again, or going on after it broke off, changes nothing twice. A line
    that is bad, or that the service rejects, is named with its number; the others are taken. Names that nobody mapped are counted and left
    out: map them with --event, and declare custom events under `signals:` in the bundle.

    Exit codes: 0 every event was taken, 1 some lines were not or the service is away, 2 the file or the command is wrong.

    Example: liftgate events import calls.jsonl.gz --format segment --event "Quiz Finished=quiz_finished"
    """
    from liftgate.client import RequestRefused, ServiceUnavailable
    from liftgate.client.tracking import FORMATS

    if form not in _FORMATS:
        fail(f"--format wants one of {', '.join(_FORMATS)}, not {form!r}", _WRONG, as_json)
    more = _mapped(event or [], as_json)
    told = Told()
    try:
        with _progress(file.name, as_json) as progress:
            events = _events(file, lambda call: FORMATS[form](call, more), told, progress)
            if dry_run:
                for _ in events:
                    told.sent += 1
            else:
                with _client(target, tls_ca, timeout_s, as_json) as client:
                    _send(client, events, told)
    except OSError as error:
        fail(f"{file}: {error.strerror or 'cannot be unpacked'}", _WRONG, as_json)
    except (EOFError, UnicodeDecodeError, zlib.error):
        fail(f"{file}: ends in the middle, or is no UTF-8 text", _WRONG, as_json)
    except RequestRefused as error:
        fail(f"the service refused a batch ({error.status}): {error}", _WRONG, as_json)
    except ServiceUnavailable as error:
        _show(file, told, dry_run, as_json)
        words = f"no answer from {target} within {timeout_s:g} s ({error.status}); run the command again, nothing is counted twice"
        fail(words, _SOME, as_json)
    _show(file, told, dry_run, as_json)
    if told.bad:
        raise typer.Exit(_SOME)


def _mapped(given: list[str], as_json: bool) -> Mapping[str, tuple[EventKindName, str]]:
    from liftgate.client.tracking import named

    found = {}
    for text in given:
        name, equals, signal = text.rpartition("=")
        if not name or not equals or not signal:
            fail(f'--event wants NAME=SIGNAL, such as "Quiz Finished=quiz_finished", not {text!r}', _WRONG, as_json)
        found[name] = named(signal)
    return found


def _events(
    file: Path, mapper: Callable[[Mapping[str, Any]], Event], told: Told, progress: Callable[[float], None]
) -> Iterator[tuple[int, Event]]:
    """Yield (line, event) for every line that is one. Raises OSError, EOFError and UnicodeDecodeError."""
    from liftgate.client.tracking import BadCall, Skipped

    size = max(file.stat().st_size, 1)
    with file.open("rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        lines = gzip.GzipFile(fileobj=raw) if gzipped else raw
        for number, line in enumerate(io.TextIOWrapper(cast("io.BufferedReader", lines), "utf-8-sig"), 1):
            if number % 1000 == 0:
                progress(raw.tell() / size)
            if not line.strip():
                continue
            told.lines += 1
            try:
                call = json.loads(line)
                if not isinstance(call, dict):
                    raise BadCall("", "a JSON object")
                yield number, mapper(call)
            except BadCall as error:
                told.refuse(number, error.field, error.wants)
            except (ValueError, RecursionError):
                told.refuse(number, "", "a JSON object")
            except Skipped as error:
                told.skipped[error.what] += 1
    progress(1.0)


def _send(client: Client, events: Iterator[tuple[int, Event]], told: Told) -> None:
    """Send in batches. Raises ServiceUnavailable, RequestRefused."""
    batch: list[tuple[int, Event]] = []
    for one in events:
        batch.append(one)
        if len(batch) == _BATCH:
            _batch(client, batch, told)
            batch = []
    if batch:
        _batch(client, batch, told)


def _batch(client: Client, batch: list[tuple[int, Event]], told: Told) -> None:
    answer = client.record([event for _, event in batch])
    told.sent += len(batch)
    told.accepted += answer.accepted
    told.duplicates += answer.duplicates
    told.late += answer.late
    told.revoked += answer.revoked
    told.uncounted += answer.uncounted
    told.dropped_properties += answer.dropped_properties
    for rejection in answer.rejections:
        told.refuse(batch[rejection.index][0], rejection.field, rejection.description.removeprefix("wants "))


@contextmanager
def _client(target: str, tls_ca: Path | None, timeout_s: float, as_json: bool) -> Iterator[Client]:
    import grpc

    from liftgate.client import Client

    authority = ca(tls_ca, as_json)
    credentials = None if authority is None else grpc.ssl_channel_credentials(authority)
    with Client(target, timeout_ms=timeout_s * 1000, credentials=credentials) as client:
        yield client


def _show(file: Path, told: Told, dry_run: bool, as_json: bool) -> None:
    if as_json:
        found = {name: getattr(told, name) for name in Told.__dataclass_fields__}
        typer.echo(json.dumps(found | {"dry_run": dry_run, "skipped": dict(told.skipped.most_common(_LISTED))}, indent=2))
        return
    if dry_run:
        typer.echo(f"{counted(told.lines, 'line')}, {told.sent:,} with an event; nothing was sent")
    else:
        words = [f"{counted(told.lines, 'line')}: {told.accepted:,} accepted"]
        words += [f"{told.duplicates:,} of them known before"] if told.duplicates else []
        words += [f"{told.late:,} late"] if told.late else []
        words += [f"{told.revoked:,} revoked for want of consent"] if told.revoked else []
        typer.echo(", ".join(words))
    if told.uncounted:
        typer.echo(f"{told.uncounted:,} in the log could not be counted; run the command again", err=True)
    if told.dropped_properties:
        typer.echo(
            f"dropped {counted(told.dropped_properties, 'property', 'properties')} that the bundle's `event_properties` do not declare"
        )
    for what, count in told.skipped.most_common(_SHOWN):
        typer.echo(f"  left out {count:,}: {what}")
    for bad in told.bad_lines[:_SHOWN]:
        typer.echo(f"  {file}:{bad['line']}: {bad['field'] + ' ' if bad['field'] else ''}wants {bad['wants']}", err=True)
    if told.bad > _SHOWN:
        typer.echo(f"  and {told.bad - _SHOWN:,} more bad lines; --json lists them", err=True)


@contextmanager
def _progress(name: str, as_json: bool) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    if as_json or os.environ.get("TERM") == "dumb":
        yield lambda share: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"importing {name}", total=1.0)
        yield lambda share: bar.update(task, completed=share)
