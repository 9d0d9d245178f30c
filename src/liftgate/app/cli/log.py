"""`liftgate log`: read the decision and event logs, prove that they are whole, and seal them to Parquet."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.log_units import units
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HELP = """Read, verify and seal the decision log.

A log directory holds segments: *.open is being written, or was left by a crash; *.seg is sealed; *.parquet is for offline
readers; *.bad holds bytes that could not be read. docs/record.md has every field and every byte.

Example: liftgate log cat DIR --limit 1 --one
"""
_DAMAGED, _WRONG = 1, 2
_SUFFIXES = (".open", ".seg", ".bad", ".parquet")
SHIPPED = "shipped"
"""Folder beside the segments for those whose records are in Parquet."""

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

app.command("units")(units)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The log's directory, as `liftgate serve --log DIR` got it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class StreamName(StrEnum):
    """Which of the two logs."""

    DECISION = "decision"
    EVENT = "event"


@app.command("cat")
def cat(
    directory: Directory,
    stream: Annotated[StreamName, typer.Option("--stream", help="Which log.")] = StreamName.DECISION,
    decision_id: Annotated[str | None, typer.Option("--decision-id", help="Only rows of this decision.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many rows; absent: all.")] = None,
    table: Annotated[bool, typer.Option("--table", help="One short line a row; a narrow terminal gets fewer columns.")] = False,
    one: Annotated[bool, typer.Option("--one", help="Each row in full, for reading.")] = False,
) -> None:
    """Print the log, oldest first, every id once: JSON lines unless --table or --one is asked for.

    Reads Parquet, sealed and open segments alike, also while a server writes. In JSON, bytes are hexadecimal digits and
    NaN (not known, not allowed) is null.

    Exit codes: 0 printed, 1 the log is damaged, 2 the command was wrong, DIR holds no log or nothing has the decision id.

    Example: liftgate log cat DIR --limit 20 --table

    Example: liftgate log cat DIR --decision-id 019b76c0f3a17c0e8d4f5a6b7c8d9e0f --one

    Example: liftgate log cat DIR --stream event | jq .kind
    """
    _need_pyarrow()
    from liftgate.app.cli.log_print import json_line, print_one, print_table

    _need_log(directory)
    if table and one:
        fail("--table and --one exclude each other", _WRONG)
    rows = _rows(directory, stream.value, decision_id, limit)
    found = False
    try:
        if table:
            found = print_table(rows, stream.value)
        else:
            for row in rows:
                found = True
                if one:
                    print_one(row)
                else:
                    typer.echo(json_line(row))
    except OSError as err:
        if isinstance(err, BrokenPipeError):
            raise
        fail(f"the log cannot be read: {err}; `liftgate log verify {directory}` says which file", _DAMAGED)
    if decision_id is not None and not found:
        fail(f"no {stream.value} in this log has decision_id {decision_id}", _WRONG)


def _rows(directory: Path, stream: str, decision_id: str | None, limit: int | None) -> Iterator[dict[str, Any]]:
    import pyarrow.compute as pc

    from liftgate.record.parquet import read_batches

    left = limit if limit is not None else float("inf")
    for batch in read_batches(directory, stream):
        if decision_id is not None:
            batch = batch.filter(pc.equal(batch.column("decision_id"), decision_id))
        for row in batch.slice(0, min(left, batch.num_rows)).to_pylist():
            yield row
            left -= 1
        if left <= 0:
            return


@app.command("verify")
def verify(
    directory: Directory,
    removed_beginnings: Annotated[
        bool, typer.Option("--removed-beginnings", help="Old files were removed on purpose: a writer may begin at any sequence.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that the log is whole: read every byte of every file, and check every checksum and every sequence.

    Says for each file how many records it holds, where it is damaged and whether its writer still runs; for each writer
    which records are in no file (a gap); how many ids are there twice (readers drop the later one) and what lies in
    quarantine. A record that was never acknowledged because a write was interrupted is noted and is no damage.

    Exit codes: 0 whole, 1 damaged or incomplete, 2 the command was wrong or DIR holds no log.

    Example: liftgate log verify DIR

    Example: liftgate log verify DIR --json | jq .clean
    """
    from liftgate.app.cli.log_print import print_verdict, to_json, verifying
    from liftgate.record.verify import verify as check

    _need_log(directory, as_json)
    if list(directory.glob("*.parquet")):
        _need_pyarrow(as_json)
    with verifying(quiet=as_json) as progress:
        verdict = check(directory, removed_beginnings, progress)
    if as_json:
        typer.echo(to_json({"clean": verdict.clean, **asdict(verdict)}))
    else:
        print_verdict(verdict, directory)
    if not verdict.clean:
        raise typer.Exit(_DAMAGED)


@app.command("seal")
def seal(
    directory: Directory,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove segments once their Parquet is verified, instead of moving them.")
    ] = False,
    spare_time: Annotated[
        bool,
        typer.Option("--spare-time", help="Run only while nothing else wants the processor; at low priority where that starves."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn sealed segments into Parquet for offline readers, and mend what dead writers left.

    Segments of running servers are not touched: a server seals its own when they are full or old. Every Parquet file is
    read back and its rows counted before its segment moves to DIR/shipped. A segment that is damaged gives what is
    before the damage, and stays. Safe to interrupt, to repeat, and to run beside servers: with --spare-time one on the
    same processors does not feel it. (Where that got no time for 10 s it begins anew without, and names only what was left.)

    Exit codes: 0 done, or nothing to do, 1 something was damaged or could not be sealed, 2 the command was wrong or DIR holds no log.

    Example: liftgate log seal DIR

    Example: liftgate log seal DIR --delete --json

    Example: liftgate log seal DIR --spare-time
    """
    _need_pyarrow(as_json)
    if spare_time:
        code = _in_spare_time(directory, delete, as_json)
        if code is not None:
            # Ended by a signal, some are not sealed.
            raise typer.Exit(code if code >= 0 else _DAMAGED)
    from liftgate.app.cli.log_print import print_sealing, sealing, to_json
    from liftgate.record.segment import recover
    from liftgate.record.storage import DiskStorage

    _need_log(directory, as_json)
    recovered = recover(DiskStorage(directory))
    segments = sorted(directory.glob("*.seg"))
    results: list[dict[str, Any]] = []
    with sealing(sum(path.stat().st_size for path in segments), quiet=as_json) as advance:
        for path in segments:
            results.append(_seal_one(path, delete, advance))
    # A cut tail is an interrupted write, which nobody was promised.
    mended = all(not one.error and (one.damage is None or one.damage.cause == "cut") for one in recovered)
    good = mended and all(result["state"] in ("shipped", "deleted") for result in results)
    nothing = "" if recovered or results else _nothing_to_seal(directory)
    if as_json:
        typer.echo(to_json({"clean": good, "recovered": [asdict(one) for one in recovered], "segments": results, "nothing": nothing}))
    else:
        print_sealing(recovered, results, directory, nothing)
    if not good:
        raise typer.Exit(_DAMAGED)


def _in_spare_time(directory: Path, delete: bool, as_json: bool) -> int | None:
    from liftgate.app.cli.in_spare_time import in_spare_time

    flags = (["--delete"] if delete else []) + (["--json"] if as_json else [])
    return in_spare_time(["log", "seal", *flags, "--", str(directory)])


def _nothing_to_seal(directory: Path) -> str:
    """Return why no segment waits to be sealed."""

    running, parquet = (len(list(directory.glob(pattern))) for pattern in ("*.open", "*.parquet"))
    why = []
    if running:
        why.append(f"{counted(running, 'segment')} of a running server, which seals its own when they are full or old and when it stops")
    if parquet:
        why.append(f"{counted(parquet, 'file')} already in Parquet")
    return "nothing to seal: " + ("; ".join(why) or "there are only quarantined bytes")


def _seal_one(path: Path, delete: bool, advance: Callable[[str, int], None]) -> dict[str, Any]:
    import pyarrow as pa

    from liftgate.record.frame import Damaged
    from liftgate.record.parquet import Busy, check_parquet, seal_to_parquet

    result: dict[str, Any] = {"segment": path.name, "parquet": "", "records": 0, "state": "failed", "problem": ""}
    try:
        size = path.stat().st_size
        sealed = seal_to_parquet(path, lambda offset: advance(path.name, offset))
        result |= {"parquet": sealed.path.name, "records": sealed.records}
        rows = check_parquet(sealed.path)
        if rows != sealed.records:
            result["problem"] = f"Parquet holds {counted(rows, 'row')} and not {sealed.records}"
        elif sealed.damage is not None:
            result |= {"state": "damaged", "problem": f"{sealed.damage.cause} at byte {sealed.damage.offset} of {size}"}
        else:
            _ship(path, delete)
            result["state"] = "deleted" if delete else "shipped"
    except (Busy, FileNotFoundError):
        result |= {"state": "shipped", "problem": "sealed by another process at the same time"}
    except Damaged as err:
        result |= {"state": "damaged", "problem": str(err)}
    except (OSError, ValueError, pa.ArrowException) as err:
        result["problem"] = str(err).splitlines()[0]
    return result


def _ship(path: Path, delete: bool) -> None:
    """Let go of a segment whose Parquet is durable."""
    from liftgate.record.storage import DiskStorage

    if delete:
        path.unlink()
    else:
        shipped = DiskStorage(path.parent / SHIPPED)
        path.rename(path.parent / SHIPPED / path.name)
        shipped.sync_names()
    DiskStorage(path.parent).sync_names()


def _need_log(directory: Path, as_json: bool = False) -> None:
    """End with 2 where no file of a log is: nothing is proved about nothing."""
    if any(path.suffix in _SUFFIXES for path in directory.iterdir()):
        return
    known = ", ".join(f"*{suffix}" for suffix in _SUFFIXES)
    fail(f"no log in {directory}: none of {known} is there. Is it the DIR of `liftgate serve --log DIR`?", _WRONG, as_json)


def _need_pyarrow(as_json: bool = False) -> None:
    with suppress(ImportError):
        import pyarrow as pa

        if pa is not None:
            return
    fail("this needs pyarrow: pip install 'liftgate[offline]'", _WRONG, as_json)
