"""`liftgate measure funnel`: where people are lost, which arm loses fewer, and where to look first."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import MISUSED, Answer, answer, figure, percent, print_table
from liftgate.app.cli.measure_options import LAST, PEOPLE, Given, sharing
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liftgate.measure.funnel_answer import Options
    from liftgate.measure.funnel_table import Window


class OpenWindows(StrEnum):
    """What happens to units whose window is open."""

    drop = "drop"
    refuse = "refuse"


class Correction(StrEnum):
    """For many tests at once."""

    benjamini_hochberg = "benjamini_hochberg"
    holm = "holm"


_STEP_HELP = (
    "A step's column, above 0 or true: done. Repeat, in order. With --event: its value in that column. With --log, left out: an offer was "
    "chosen (triggered), then every kind of event that somebody did."
)

_PEOPLE = tuple(one for one in PEOPLE if one not in ("window", "read_at"))
"""Those two are another thing for a table: options of its own."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("funnel")(funnel)


@sharing(*_PEOPLE, "unit", "arm", "control", *LAST, arm="Column of the arm. Left out: one funnel of everyone.")
def funnel(
    given: Given,
    *,
    step: Annotated[list[str] | None, typer.Option("--step", metavar="COL", help=_STEP_HELP)] = None,
    segment: Annotated[
        str, typer.Option("--segment", metavar="COL", help="A funnel of each value of this column, too; known at assignment.")
    ] = "",
    event: Annotated[
        str, typer.Option("--event", metavar="COL", help="The table is a log with a row an event; this column says which.")
    ] = "",
    assigned: Annotated[str, typer.Option("--assigned", metavar="VALUE", help="With --event: the event that assigns a unit.")] = "",
    time: Annotated[str, typer.Option("--time", metavar="COL", help="When the unit was assigned; with --event, when it happened.")] = "",
    window: Annotated[
        str,
        typer.Option(
            "--window", metavar="SPAN", help="How long a unit has for its steps: 14d (with --log 7d), 36h; a number, of a numeric --time."
        ),
    ] = "",
    read_at: Annotated[
        str, typer.Option("--read-at", metavar="TIME", help="With --window: when the table was read. Units with less time are left out.")
    ] = "",
    open_windows: Annotated[
        OpenWindows, typer.Option("--open-windows", help="Leave units with an open window out, or refuse.")
    ] = OpenWindows.drop,
    recover: Annotated[
        list[str] | None,
        typer.Option(
            "--recover", metavar="STEP=SHARE", help="Share of those lost at a step that could realistically be kept; default 0.1 each."
        ),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", metavar="[STEP=]X", help="What one unit at a step is worth, the last one unless named; may be repeated."),
    ] = None,
    correction: Annotated[
        Correction, typer.Option("--correction", help="For steps x arms x segments tested at once.")
    ] = Correction.benjamini_hochberg,
    alpha: Annotated[float, typer.Option("--alpha", help="1 - confidence, two-sided.")] = 0.05,
) -> None:
    """Show where people are lost on the way, which arm loses fewer, and where keeping some would be worth most.

    Rates per assigned unit are causal: their denominator is what was randomised. Rates of those who came to a step are shown beside them
    and are not. Decision, exposure, click, cart, purchase, retention: any steps, in order.

    Exit codes: 0 answered, 3 refused, 2 asked wrongly.

    Example: liftgate measure funnel --table shop.csv --unit id --arm arm --control none --step exposed --step clicked --step bought

    Example: liftgate measure funnel --log log --window 14d --segment placement

    Example: liftgate measure funnel --table log.parquet --unit person --event event --time at --assigned sent --step seen --step done
    """
    steps = list(step or [])
    if given.log is None and (not given.table or not given.unit or not step):
        fail("give --table with --unit and --step, or --log", MISUSED, given.as_json)
    if given.log is not None and (event or time):
        fail(
            "--event and --time go with --table: a log's steps are columns of its people, as `measure table` writes them",
            MISUSED,
            given.as_json,
        )
    if (given.log is None and bool(window) != bool(read_at)) or (given.table and bool(window) and not time):
        fail("--window, --read-at and --time go together", MISUSED, given.as_json)
    if bool(event) != bool(assigned) or (bool(event) and not time):
        fail("--event, --assigned and --time go together", MISUSED, given.as_json)
    if given.control and not given.arm and given.log is None:
        fail("--control wants --arm with it", MISUSED, given.as_json)

    def compute() -> Answer:
        from liftgate.measure.funnel_answer import answer_funnel
        from liftgate.measure.funnel_table import Window, read_events, read_funnel
        from liftgate.measure.table import open_table

        if given.log is not None:
            return from_log()
        rows = open_table(
            given.table, text=[name for name in (given.unit, given.arm, segment, event) if name and name != "row"], where=given.where
        )
        closing: Window | None = Window(time, window, read_at, open_windows is OpenWindows.refuse) if window else None
        if event:
            read = read_events(rows, given.unit, event, time, assigned, steps, given.arm or None, segment or None, closing)
        else:
            read = read_funnel(rows, given.unit, steps, given.arm or None, segment or None, closing)
        return answer_funnel(read, options(given.control, steps, given.share or []))

    def options(against: str, names: list[str], planned: Sequence[str]) -> Options:
        from liftgate.measure.funnel_answer import Options

        kept = _by_step("--recover", recover or [])
        return Options(against or None, alpha, correction.value, kept, _values(value or [], names), planned)

    def from_log() -> Answer:
        from liftgate.measure.funnel_answer import answer_funnel
        from liftgate.measure.funnel_table import read_funnel, steps_of_log
        from liftgate.measure.refusal import Refused
        from liftgate.measure.table import open_table

        groups = (segment,) if segment else ()
        asked = replace(given, window=window or "7d", read_at=read_at)
        with source.opened(asked, groups=groups) as (path, made):
            assert made is not None
            if made.open_windows and open_windows is OpenWindows.refuse:
                raise Refused(
                    "open_windows",
                    f"of {made.open_windows:,} of {counted(made.units + made.open_windows, 'unit')} the window is open: "
                    "what they will do is unknown",
                    "read again when the windows have closed, or leave those units out (--open-windows drop)",
                )
            source.strata(groups, made, path, given.where, "--segment")
            group, against = given.arm or source.ARM, source.role(given.control, "" if given.layer else source.CONTROL, made, "--control")
            rows = open_table(path, text=[group, *groups], where=given.where)
            names = steps or steps_of_log(rows, made.kinds)
            read = read_funnel(rows, given.unit or source.ROW, names, group, segment or None)
            return source.said_of(made) | answer_funnel(read, options(against, names, source.shares(given.share or (), (), made)))

    answer("funnel", given, compute, _show)


def _by_step(option: str, words: list[str]) -> dict[str, float]:
    from liftgate.measure.refusal import Misused

    found = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if not name or not isfinite(found[name]):
            raise Misused(f"{option} {word!r} is not STEP=NUMBER, such as cart=0.05")
    return found


def _values(words: list[str], steps: list[str]) -> dict[str, float]:
    return _by_step("--value", [word if "=" in word else f"{steps[-1]}={word}" for word in words])


def _show(found: Answer) -> None:
    source.show(found)
    if "funnels" not in found:
        return
    for one in found["funnels"]:
        _show_funnel(one, found["alpha"])
    if found["differences"]:
        _show_differences(found)
    whole = [one for one in found["funnels"] if one["segment"] is None]
    treated = [one for one in whole if one["arm"] != found["control"]] or whole
    for one in treated:
        _show_bottlenecks(one)
    typer.echo(f"Assumed: {found['definition']['bottleneck']}.")
    for note in found["notes"]:
        typer.echo(f"Note: {note}.")


def _name(one: dict[str, Any]) -> str:
    return f"{one['arm']}, {one['segment']}" if one["segment"] is not None else str(one["arm"])


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}%"


def _show_funnel(one: dict[str, Any], alpha: float) -> None:
    header = ["step", "units", "of assigned", f"{1 - alpha:.0%} interval", "lost here", "of those before*"]
    rows = [
        [
            step["step"],
            f"{step['units']:,}",
            _rate(step["rate"]),
            f"{_rate(step['ci_low'])[:-1]} to {_rate(step['ci_high'])}",
            f"{step['lost']:,}",
            _rate(step["conditional_rate"]),
        ]
        for step in one["steps"]
    ]
    print_table(f"{_name(one)}: {one['n']:,} assigned", header, rows)
    if one["biggest_drop"]:
        typer.echo(f"The largest share is lost on the way to {one['biggest_drop']}.    * not causal: never compare it between arms")


def _show_differences(found: Answer) -> None:
    header = ["step", "points", f"{1 - found['alpha']:.0%} interval", "lift", "p, corrected", "real?"]
    by_name: dict[str, list[list[str]]] = {}
    for one in found["differences"]:
        row = [
            one["step"],
            f"{100 * one['estimate']:+.3f}",
            f"{100 * one['ci_low']:+.3f} to {100 * one['ci_high']:+.3f}",
            percent(one["lift"]),
            figure(one["p_adjusted"], 2),
            "yes" if one["real"] else "not shown",
        ]
        by_name.setdefault(_name(one), []).append(row)
    for name, rows in by_name.items():
        print_table(f"{name} against {found['control']}, per assigned unit (causal)", header, rows)
    typer.echo(f"{counted(found['multiplicity']['tests'], 'test')} at once: {found['multiplicity']['meaning']}.")


def _show_bottlenecks(one: dict[str, Any]) -> None:
    valued = any(each["worth"] is not None for each in one["bottlenecks"])
    header = ["look first at", "lost", "kept", "more at the end", "per 1,000", *(["worth"] if valued else [])]
    rows = [
        [
            f"{each['rank']}. {each['step']}",
            f"{each['lost']:,}",
            f"{each['recovered']:,.0f} ({each['recovered_share']:.0%})",
            f"{each['extra_at_end']:,.1f}",
            f"{each['extra_at_end_per_1000']:.2f}",
            *([f"{each['worth']:,.0f}"] if valued else []),
        ]
        for each in one["bottlenecks"]
    ]
    print_table(f"{_name(one)}: what a realistic improvement is worth", header, rows)
