"""How `liftgate log` shows rows, verdicts and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from liftgate.app.counted import counted
from liftgate.record.segment import Recovered
from liftgate.record.verify import Verdict

_FILE_WIDTH = 400
"""Columns of tables that go to a file or a pipe, where nothing needs to be cut."""


def json_line(row: Mapping[str, Any]) -> str:
    """Return a row as one line of JSON: bytes as hexadecimal digits, NaN as null."""
    return orjson.dumps(row, default=_plain).decode()


def to_json(document: Mapping[str, Any]) -> str:
    """Return a document as indented JSON."""
    return orjson.dumps(document, default=_plain, option=orjson.OPT_INDENT_2).decode()


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value).__name__)


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_HEADINGS = {
    "decision": ("decided at", "decision id", "placement", "arm", "branch", "reason", "offered", "would offer"),
    "event": ("occurred at", "event id", "kind", "decision id", "offer", "value"),
}
_NARROW = {"decision": ("decision id", "placement", "reason", "offered"), "event": ("decision id", "kind", "offer", "value")}
"""What a narrow terminal has room for: an id that is cut finds nothing."""
_WIDE_FROM = {"decision": 140, "event": 120}
"""Columns of a terminal that has room for every heading."""


def print_table(rows: Iterable[dict[str, Any]], stream: str) -> bool:
    """Print one short entry a row, with fewer columns on a narrow terminal, and return whether there was a row."""
    console = _console()
    headings = _HEADINGS[stream]
    shown = headings if console.width >= _WIDE_FROM[stream] else _NARROW[stream]
    table = Table(box=None, header_style="bold")
    for heading in shown:
        table.add_column(heading, overflow="fold", min_width=32 if heading == "decision id" else None)
    for row in rows:
        if stream == "decision":
            would = ", ".join(row["would_offer"])
            offered = ", ".join(row["offered"]) or "nothing"
            cells: tuple[str, ...] = (
                _moment(row["decided_at_ms"]),
                row["decision_id"],
                row["placement_id"],
                row["arm"].lower(),
                row["branch"].lower(),
            )
            cells += (row["reason"].lower(), offered, would)
        else:
            value = "" if row["value"] is None else f"{row['value']:.2f} {row['currency']}"
            cells = (_moment(row["occurred_at_ms"]), row["event_id"], row["kind"].lower(), row["decision_id"], row["offer_id"])
            cells += (value,)
        by_heading = dict(zip(headings, cells, strict=True))
        table.add_row(*(Text(by_heading[heading]) for heading in shown))
    if table.row_count:
        console.print(table, soft_wrap=False)
    return table.row_count > 0


_COLUMNS = ("candidate_", "input_", "inputs", "slots", "purpose", "consent_reason")


def print_one(row: Mapping[str, Any]) -> None:
    """Print a row in full: values, then candidates, inputs and consent as tables."""
    console = _console()
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in row.items():
        if not name.startswith(_COLUMNS):
            table.add_row(Text(name, style="bold"), Text(_words(name, value)))
    console.print(table, soft_wrap=False)
    if "candidate_offer_id" in row:
        slots = [f"P slot {number + 1}" for number in range(len(row["slots"]))]
        _print_columns(
            console,
            ("candidate", "became", "propensity", "value", *slots),
            (row["candidate_offer_id"], row["candidate_reason"], row["candidate_propensity"], row["candidate_value"], *row["slots"]),
        )
        inputs = [(one["name"], _input(one, value)) for one, value in zip(row["inputs"], row["input_value"], strict=True)]
        names, values = [name for name, _ in inputs], [value for _, value in inputs]
        _print_columns(console, ("input", "value", "age s", "state"), (names, values, row["input_age_s"], row["input_state"]))
        _print_columns(console, ("purpose", "consent"), (row["purpose"], row["consent_reason"]))
    console.print()


def _print_columns(console: Console, headings: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
    if not columns[0]:
        return
    table = Table(box=None, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for cells in zip(*columns, strict=True):
        table.add_row(*(Text(_words("", cell)) for cell in cells))
    console.print()
    console.print(table, soft_wrap=False)


def _input(column: Mapping[str, Any], number: float) -> str:
    if isnan(number):
        return "-"
    if column["type"] == "string":
        return str(column["values"][int(number)]) if 0 <= number < len(column["values"]) else "<other>"
    if column["type"] == "bool":
        return "true" if number else "false"
    if column["type"] == "timestamp":
        return _moment(int(number))
    return f"{number:.6g}"


def _words(name: str, value: Any) -> str:
    if isinstance(value, float):
        return "-" if isnan(value) else f"{value:.6g}"
    if isinstance(value, bytes):
        return value.hex()
    if name.endswith("_at_ms") or name == "valid_until_ms":
        return f"{value} ({_moment(value)})"
    if isinstance(value, list):
        return ", ".join(_words("", one) for one in value) or "-"
    if isinstance(value, dict):
        return " ".join(_words("", one) for one in value.values())
    return "-" if value in ("", None) else str(value)


def print_verdict(verdict: Verdict, directory: Path) -> None:
    """Print what `verify` found, file by file, and what to do about it."""
    console = _console()
    table = Table(box=None, header_style="bold")
    for heading in ("file", "state", "bytes", "records", "finding"):
        table.add_column(heading, overflow="fold")
    for report in verdict.files:
        finding = Text(report.damage, style="red") if report.damage else Text(report.note)
        table.add_row(Text(report.name), report.state, f"{report.bytes:,}", f"{report.records:,}", finding)
    if verdict.files:
        console.print(table, soft_wrap=False)
    for gap in verdict.gaps:
        which = f"record {gap.first}" if gap.first == gap.last else f"records {gap.first} to {gap.last}"
        console.print(f"[red]missing:[/red] {gap.stream} {which} of writer {gap.writer_id}")
    if verdict.repeated_sequences:
        console.print(f"[red]used twice:[/red] {counted(verdict.repeated_sequences, 'sequence number')}")
    if verdict.duplicates:
        console.print(f"id of an earlier record, so dropped by readers: {counted(verdict.duplicates, 'record')}")
    if any(report.state == "left open" for report in verdict.files):
        console.print(f"Writers died and left segments open: `liftgate log seal {directory}` mends them; so does the next start.")
    counts = ", ".join(counted(count, stream) for stream, count in verdict.records.items()) or "no records"
    verdict_words = "[green]whole[/green]" if verdict.clean else "[red]damaged or incomplete[/red]"
    console.print(f"{verdict_words}: {counts} in {counted(len(verdict.files), 'file')}")


def print_sealing(recovered: Sequence[Recovered], results: Sequence[Mapping[str, Any]], directory: Path, nothing: str) -> None:
    """Print what `seal` did; `nothing` says why there was nothing to do, and is empty where there was something."""
    console = _console()
    for one in recovered:
        tail = f", {counted(one.damage.size, 'byte')} to quarantine ({one.damage.cause})" if one.damage else ""
        console.print(
            Text(f"mended {one.name}: {counted(one.records, 'record')}{tail}" if not one.error else f"not mended {one.name}: {one.error}")
        )
    if results:
        table = Table(box=None, header_style="bold")
        for heading in ("segment", "records", "state", "problem"):
            table.add_column(heading, overflow="fold")
        for result in results:
            style = "" if result["state"] in ("shipped", "deleted") else "red"
            table.add_row(Text(result["segment"]), f"{result['records']:,}", Text(result["state"], style=style), Text(result["problem"]))
        console.print(table, soft_wrap=False)
    if nothing:
        console.print(Text(nothing))
        return
    total = sum(result["records"] for result in results)
    console.print(Text(f"in Parquet in {directory}: {counted(total, 'record')} of {counted(len(results), 'segment')}"))


@contextmanager
def verifying(quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Show which file is being read, on stderr, where that is a terminal."""
    if quiet:
        yield None
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading")
        yield lambda name: bar.update(task, description=name)


@contextmanager
def sealing(total_bytes: int, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show how many bytes of segments are done, on stderr, where that is a terminal; told a segment's name and offset."""
    if quiet:
        yield lambda _name, _offset: None
        return
    columns = (TextColumn("sealing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sealing", total=total_bytes)
        done: dict[str, int] = {}

        def advance(name: str, offset: int) -> None:
            done[name] = offset
            bar.update(task, completed=sum(done.values()))

        yield advance


def _console() -> Console:
    console = Console(soft_wrap=True)
    return console if console.is_terminal else Console(soft_wrap=True, width=_FILE_WIDTH)
