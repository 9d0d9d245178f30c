"""`liftgate measure ope|calibration|drift --log DIR`: a log as a table with one row a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liftgate.app.cli.measure_options import Given
from liftgate.app.cli.measure_source import VERSION, one_source, span_ms, time_ms
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.measure.attribution import Rule
    from liftgate.measure.decision_table import Decisions

SCORED = "score is not null"


@contextmanager
def opened(given: Given, inputs: Sequence[str] = ()) -> Iterator[tuple[str, Decisions | None]]:
    """Yield the path of the table, and how it was made of a log. Raises Misused, Refused."""
    from liftgate.measure.log import new_aside

    one_source(given)
    if given.log is None:
        yield given.table, None
        return
    with new_aside() as aside:
        path = Path(aside) / "decisions.parquet"
        yield str(path), made_of(given, path, inputs)


def made_of(given: Given, path: Path, inputs: Sequence[str], train: bool = False) -> Decisions:
    """Write the table of the log that was named, with `train` only what a model may be trained on. Raises Misused, Refused."""
    from liftgate.measure.decision_table import decision_table

    assert given.log is not None
    read_at_ms = time_ms(given.read_at, "--read-at")
    return decision_table(
        given.log,
        given.events,
        rule_of(given),
        path,
        read_at_ms=read_at_ms,
        allow_gaps=given.allow_gaps,
        inputs=tuple(inputs),
        train=train,
    )


def rule_of(given: Given) -> Rule:
    """Return which outcomes belong to which decisions. Raises Misused."""
    from liftgate.measure.attribution import Rule

    kind, window_ms = given.rewarded.removesuffix("_value"), span_ms(given.window, "--window")
    return Rule(kind, window_ms, given.credit, worth=kind != given.rewarded)  # type: ignore[arg-type]


def said_of(made: Decisions | None) -> dict[str, Any]:
    """Return what an answer says of the log that it comes from; nothing of a table."""
    return {} if made is None else {"log": {"decisions": made.rows} | made.as_json()}


def both(one: str, other: str) -> str:
    """Return a condition that holds where both hold; an empty one always does."""
    return f"({one}) and ({other})" if one and other else one or other


def versions_of(path: str, where: str = "") -> list[str]:
    """Return the bundles of a log's table, the one that decided first at the front."""
    from liftgate.measure.table import open_table

    table = open_table(path, where=where)
    time = table.rows["decided_at" if "decided_at" in table.columns else "assigned_at"]
    found = table.fetch(table.rows.group_by(VERSION).aggregate(at=time.min()).order_by("at", VERSION))
    return [str(row[VERSION]) for row in found]


def require_one_version(path: str, where: str, mend: str) -> None:
    """Raise Refused `mixed_versions` where several bundles made these rows of a log's table."""
    from liftgate.measure.refusal import Refused

    if (several := len(versions_of(path, where))) > 1:
        raise Refused("mixed_versions", f"{several} bundles decided: what is measured changed on the way", mend)


def show(found: dict[str, Any]) -> None:
    """Print what is to be known of the log that an answer comes from."""
    one = found.get("log")
    if one is None:
        return
    words = [f"{counted(one['decisions'], 'decision')}, {one['explored']:,} of them explored and {one['scored']:,} scored"]
    if one["open_windows"]:
        words.append(f"{one['open_windows']:,} more left out, for their window is open")
    if one["lost_records"]:
        words.append(f"{counted(one['lost_records'], 'record')} MISSING from the log")
    typer.echo("From the log: " + "; ".join(words) + ".")
