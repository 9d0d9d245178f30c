"""`liftgate measure power`: how many units, how many days, or how small an effect."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from liftgate.app.cli.measure_answer import MISUSED, Answer, answer, figure, percent, print_table
from liftgate.app.cli.measure_options import TABLE_HELP, Given, sharing
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted


class ConventionName(StrEnum):
    """How units are computed."""

    unpooled = "unpooled"
    pooled_null = "pooled_null"
    arcsine = "arcsine"
    equal_variance = "equal_variance"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("power")(power)


@sharing("table", "where", "engine", "as_json", table="Take baseline and deviation from past data. " + TABLE_HELP)
def power(
    given: Given,
    *,
    baseline: Annotated[
        float | None, typer.Option("--baseline", metavar="X", help="What the control has: a rate (0.05), or a mean with --sd.")
    ] = None,
    sd: Annotated[float | None, typer.Option("--sd", metavar="X", help="Standard deviation of a unit: the metric is a mean.")] = None,
    lift: Annotated[str, typer.Option("--lift", metavar="X%", help="Relative effect that is looked for, such as 5% or 0.05.")] = "",
    effect: Annotated[float | None, typer.Option("--effect", metavar="X", help="The same, absolute: 0.01 is one point of a rate.")] = None,
    units: Annotated[
        float | None, typer.Option("--units", metavar="N", help="Units there are, all arms: how small an effect shows?")
    ] = None,
    per_day: Annotated[
        float | None, typer.Option("--per-day", metavar="N", help="Units that enter the experiment in a day, all arms.")
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", metavar="D", help="Days there are, with --per-day: how small an effect shows?")
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(
            "--share", metavar="ARM=WEIGHT", help="Share of an arm, as a weight; repeat for every arm. Left out: control=1, treatment=1."
        ),
    ] = None,
    control: Annotated[str, typer.Option("--control", metavar="ARM", help="The arm that the others are held against.")] = "control",
    alpha: Annotated[float, typer.Option("--alpha", help="How often no effect may look like one, two-sided.")] = 0.05,
    wanted: Annotated[float, typer.Option("--power", help="How often the effect is found if it is there.")] = 0.8,
    convention: Annotated[
        ConventionName, typer.Option("--convention", help="How units are computed; docs/measurement.md says how they differ.")
    ] = ConventionName.unpooled,
    metric: Annotated[str, typer.Option("--metric", metavar="COL[:binary|mean]", help="Column of --table, one row a unit.")] = "",
) -> None:
    """Plan an experiment: units by arm and days for an effect, or the smallest effect that the units at hand show (MDE).

    Formula: (z of 1 - alpha/2 + z of power) * sd * sqrt(1/n_treatment + 1/n_control), normal approximation.

    Exit codes: 0 answered, 2 asked wrongly.

    Example: liftgate measure power --baseline 0.05 --lift 10% --per-day 4000

    Example: liftgate measure power --baseline 12.5 --sd 40 --units 20000 --share treatment=9 --share control=1

    Example: liftgate measure power --table past.csv --metric spend --lift 5% --share none=2 --share mail=1 --share app=1 --control none
    """
    if bool(given.table) == (baseline is not None) or bool(given.table) != bool(metric):
        fail("give --baseline (with --sd for a mean), or --table with --metric", MISUSED, given.as_json)

    def compute() -> Answer:
        from liftgate.measure.power import Metric
        from liftgate.measure.power_answer import Question, answer_power, metric_of_table
        from liftgate.measure.refusal import Misused
        from liftgate.measure.srm_table import shares_of

        weights = shares_of(share or []).whole or {"control": 1.0, "treatment": 1.0}
        if min(weights.values()) <= 0 or control not in weights:
            raise Misused(f"--share gives every arm a weight above 0, the control {control!r} among them; it has {', '.join(weights)}")
        shares = {arm: weight / sum(weights.values()) for arm, weight in weights.items()}
        try:
            if given.table:
                measured = metric_of_table(given.table, metric, given.where)
            else:
                measured = Metric.proportion(baseline or 0.0) if sd is None else Metric.mean(baseline or 0.0, sd)
        except ValueError as err:
            raise Misused(f"{err}; for a mean give --sd with it" if sd is None else str(err)) from err
        asked = Question(shares, control, alpha, wanted, convention.value, effect, _share(lift) if lift else None, units, per_day, days)
        return answer_power(measured, asked)

    answer("power", given, compute, _show)


def _share(text: str) -> float:
    """Return 0.05 of `5%` or `0.05`. Raises Misused."""
    from liftgate.measure.refusal import Misused

    try:
        return float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError as err:
        raise Misused(f"--lift {text!r} is no share; write 5% or 0.05") from err


def _show(found: Answer) -> None:
    kind, baseline = found["metric"]["kind"], found["metric"]["baseline"]
    typer.echo(
        f"Baseline {figure(baseline)} ({'a rate' if kind == 'binary' else 'a mean, standard deviation ' + figure(found['metric']['sd'])})."
    )
    if found["needs"]:
        effect = found["effect"]
        typer.echo(
            f"To find a change of {effect['absolute']:+.4g} ({percent(effect['relative'])} of the baseline) {found['power']:.0%} of the "
            f"time it is there, and see one by luck {found['alpha']:.0%} of the time there is none:"
        )
        header = ["arm", "units in it", "units in control", "units in all arms", "days"]
        rows = [
            [one["arm"], f"{one['n_treatment']:,}", f"{one['n_control']:,}", f"{one['total']:,}", figure(one["days"])]
            for one in found["needs"]
        ]
        print_table(f"Against {found['control']}", header, rows)
        took = f", {counted(found['days'], 'day')}" if found["days"] is not None else ""
        typer.echo(f"The experiment needs {counted(found['total_units'], 'unit')}{took}.")
    if found["with_units"]:
        header = ["arm", "units in it", "units in control", "smallest change", "of baseline", "power"]
        rows = [
            [
                one["arm"],
                f"{one['n_treatment']:,}",
                f"{one['n_control']:,}",
                figure(one["mde"]),
                percent(one["mde_relative"]).lstrip("+"),
                "-" if one["power"] is None else f"{one['power']:.0%}",
            ]
            for one in found["with_units"]["arms"]
        ]
        print_table(f"With {counted(found['with_units']['units'], 'unit')}, against {found['control']}", header, rows)
        typer.echo("Anything smaller would probably be missed; that nothing is found then proves nothing.")
    for warning in found["warnings"]:
        typer.echo(f"Note: {warning}.")
    typer.echo(f"Convention: {found['convention']}: {found['definition']}.")
