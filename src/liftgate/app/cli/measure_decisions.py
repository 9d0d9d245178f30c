"""`liftgate measure ope|calibration|drift --log DIR`: a log as a table with one row a decision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.measure_source import METRIC, VERSION, span_ms, time_ms

if TYPE_CHECKING:
    from liftgate.measure.decision_table import Decisions

LogOption = Annotated[
    Path | None, typer.Option("--log", metavar="DIR", help="A decision log, instead of a table: one row a decision for a treated person.")
]
MetricOption = Annotated[
    str, typer.Option("--metric", metavar="KIND[_value]", help="With --log: the event that is the outcome; with _value what it was worth.")
]
WindowOption = Annotated[str, typer.Option("--window", metavar="SPAN", help="With --log: how long after a decision it counts.")]
CreditOption = Annotated[
    str, typer.Option("--credit", metavar="NAME", help="With --log: events that name no decision belong to the last, first or each before.")
]
SCORED = "score is not null"


@dataclass(frozen=True, slots=True)
class Source:
    """What a command was told about where its decisions come from."""

    table: str
    log: Path | None
    events: Path | None = None
    metric: str = METRIC
    window: str = "7d"
    credit: str = "last"
    read_at: str = ""
    allow_gaps: bool = False
    inputs: tuple[str, ...] = ()

    @contextmanager
    def opened(self) -> Iterator[tuple[str, Decisions | None]]:
        """Yield the path of the table, and how it was made of a log. Raises Misused, Refused."""
        from liftgate.measure.attribution import Rule
        from liftgate.measure.decision_table import decision_table
        from liftgate.measure.log import new_aside
        from liftgate.measure.refusal import Misused

        if bool(self.table) == (self.log is not None):
            raise Misused("say where the data is: either a table or --log DIR")
        if self.log is None:
            yield self.table, None
            return
        worth = self.metric.endswith("_value")
        rule = Rule(self.metric.removesuffix("_value"), span_ms(self.window, "--window"), self.credit, worth)  # type: ignore[arg-type]
        with new_aside() as aside:
            path = Path(aside) / "decisions.parquet"
            read_at = time_ms(self.read_at, "--read-at")
            yield (
                str(path),
                decision_table(self.log, self.events, rule, path, read_at_ms=read_at, allow_gaps=self.allow_gaps, inputs=self.inputs),
            )


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
    words = [f"{one['decisions']:,} decisions, {one['explored']:,} of them explored and {one['scored']:,} scored"]
    if one["open_windows"]:
        words.append(f"{one['open_windows']:,} more left out, for their window is open")
    if one["lost_records"]:
        words.append(f"{one['lost_records']:,} records are MISSING from the log")
    typer.echo("From the log: " + "; ".join(words) + ".")
