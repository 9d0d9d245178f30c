"""`liftgate measure lift`: what each arm was worth against control."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import Answer, answer, figure, percent, print_table
from liftgate.app.cli.measure_options import LAST, METRIC, PEOPLE, Given, sharing

_METRIC = "What is compared: COL:binary (0 or 1), COL:mean, COL:ratio:DENOMINATOR; without a kind the values decide. Repeat for more."
_COVARIATE = "CUPED: a number a unit from before its first exposure, or COL:ratio:DENOMINATOR; repeat for more."
_GUARDRAIL = "A metric that may get worse by less than a margin: METRIC,up|down,MARGIN, where up means that more is better."

_SEGMENT = "Report each of its values, too; with --log also an input of the first decision, such as context.device. Repeat for more."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lift")(lift)


@sharing(*PEOPLE, "before", "unit", "arm", "control", *LAST)
def lift(
    given: Given,
    *,
    metric: Annotated[list[str] | None, typer.Option("--metric", metavar="COL[:KIND]", help=_METRIC)] = None,
    guardrail: Annotated[list[str] | None, typer.Option("--guardrail", metavar="METRIC,up|down,MARGIN", help=_GUARDRAIL)] = None,
    covariate: Annotated[list[str] | None, typer.Option("--covariate", metavar="COL", help=_COVARIATE)] = None,
    stratum: Annotated[
        list[str] | None,
        typer.Option("--stratum", metavar="COL", help="Compare within its values, such as the allocation's period; repeat for more."),
    ] = None,
    segment: Annotated[list[str] | None, typer.Option("--segment", metavar="COL", help=_SEGMENT)] = None,
    period: Annotated[
        str,
        typer.Option(
            "--period", metavar="COL", help="The allocation's period: refuse if the arms' shares change over it and it is no stratum."
        ),
    ] = "",
    triggered: Annotated[
        str, typer.Option("--triggered", metavar="COL", help="0 or 1, computed alike in all arms: report the triggered units, too.")
    ] = "",
    exposed: Annotated[str, typer.Option("--exposed", metavar="COL", help="0 or 1: report the effect on those exposed (CACE), too.")] = "",
    winsorise: Annotated[
        float | None, typer.Option("--winsorise", metavar="Q", help="Cap `mean` metrics at this quantile of their values other than 0.")
    ] = None,
    pairwise: Annotated[bool, typer.Option("--pairwise", help="Hold the treatment arms against each other, too.")] = False,
    alpha: Annotated[float, typer.Option("--alpha", help="One less the confidence of the intervals.")] = 0.05,
    correction: Annotated[
        str, typer.Option("--correction", metavar="NAME", help="For several metrics, arms and segments: benjamini_hochberg or holm.")
    ] = "benjamini_hochberg",
) -> None:
    """Say what each arm was worth against control: a difference, its interval, one p-value, and the relative lift; or refuse.

    Every assigned unit counts; a missing outcome is 0. Nothing is said of a table whose split is not the planned one.

    Exit codes: 0 answered, 3 refused, 2 asked wrongly.

    Example: liftgate measure lift --table customers.csv --unit customer_id --arm group --control none --metric bought:binary

    Example: liftgate measure lift --table 'log/*.parquet' --unit person --arm arm --control holdout --metric orders:ratio:sessions
    --covariate orders_before --stratum period --json

    Example: liftgate measure lift --log log --window 7d --metric purchase --metric purchase_value --triggered triggered
    """

    def compute() -> Answer:
        from liftgate.measure.lift import measure_lift
        from liftgate.measure.lift_question import Question, guardrail_of, metric_of

        with source.opened(given, groups=(*(segment or ()), *(stratum or ()))) as (path, made):
            return source.said_of(made) | measure_lift(
                Question(
                    table=path,
                    unit=source.role(given.unit, source.ROW, made, "--unit"),
                    arm=source.role(given.arm, source.ARM, made, "--arm"),
                    control=source.role(given.control, "" if given.layer else source.CONTROL, made, "--control"),
                    metrics=tuple(metric_of(word) for word in metric or ([METRIC] if made and not guardrail else [])),
                    guardrails=tuple(guardrail_of(word) for word in guardrail or ()),
                    covariates=tuple(metric_of(word, "--covariate") for word in covariate or ()),
                    strata=source.strata(stratum or (), made, path, given.where, "--stratum"),
                    segments=tuple(segment or ()),
                    period=period or (source.VERSION if made else ""),
                    triggered=triggered,
                    exposed=exposed,
                    where=given.where,
                    shares=source.shares(given.share or (), stratum or (), made),
                    winsorise=winsorise,
                    alpha=alpha,
                    correction=correction,
                    pairwise=pairwise,
                )
            )

    answer("lift", given, compute, _show)


def _show(found: Answer) -> None:
    source.show(found)
    typer.echo("Units: " + ", ".join(f"{name} {n}" for name, n in found["n"].items()))
    for name, one in found["split"]["by_stratum"].items():
        where = f" where {name}" if name else ""
        typer.echo(f"Split{where} against {found['split']['checked_against']} shares: p {figure(one['p_value'])}")
    for column, cap in found["winsorised_at"].items():
        typer.echo(f"{column} is capped at {figure(cap, 6)}")
    for words in found["warnings"]:
        typer.echo(f"Note: {words}.")
    if found["results"]:
        many = len(found["results"]) > 1
        level = f"{1 - found['alpha']:.0%} interval"
        header = ["metric, arm", "control, arm", f"difference ({level})", "lift in % (interval)", "p, adjusted" if many else "p"]
        for control in dict.fromkeys(one["control"] for one in found["results"]):
            print_table(f"Against {control}", header, [_row(one) for one in found["results"] if one["control"] == control])
    for one in found["results"]:
        if one.get("theta"):
            theta = ", ".join(f"{name} {figure(value)}" for name, value in one["theta"].items())
            typer.echo(
                f"{_name(one)}, {one['arm']}: CUPED theta {theta}; {figure(100 * one['variance_kept'], 3)} % of the variance is left"
            )
        if one.get("cace"):
            cace = one["cace"]
            typer.echo(
                f"{_name(one)}, {one['arm']}: effect on those exposed {figure(cace['estimate'])} "
                f"({figure(cace['ci_low'])} to {figure(cace['ci_high'])}); assignment exposes {percent(cace['first_stage'])}"
            )
        if why := one.get("cace_refusal"):
            typer.echo(f"{_name(one)}, {one['arm']}: no effect on those exposed ({why['code']}); what is printed is that of assignment.")
        if one["refusal"] and one["refusal"] != found["refusal"]:
            typer.echo(f"{_name(one)}, {one['arm']}: refused ({one['refusal']['code']}): {one['refusal']['why']}.")
    for one in found["guardrails"]:
        verdict = {True: "passed", False: "NOT passed", None: "refused"}[one["passed"]]
        bound, margin = figure(one["bound"]), figure(one["margin"])
        typer.echo(f"Guardrail {one['metric']}, {one['arm']}: {verdict}; worst {bound}, margin {margin}, {one['good']} is good")


def _name(one: dict[str, Any]) -> str:
    part = "triggered" if one["analysis"] == "triggered" else ", ".join(f"{k}={v}" for k, v in (one["segment"] or {}).items())
    return f"{one['metric']} [{part}]" if part else str(one["metric"])


def _row(one: dict[str, Any]) -> list[str]:
    name = f"{_name(one)}, {one['arm']}"
    if one["refusal"]:
        return [name, "-", "refused", "-", "-"]
    low, high = (figure(one[key] and 100 * one[key], 3) for key in ("lift_ci_low", "lift_ci_high"))
    return [
        name,
        f"{figure(one['mean'][one['control']])}, {figure(one['mean'][one['arm']])}",
        f"{figure(one['estimate'])} ({figure(one['ci_low'])} to {figure(one['ci_high'])})",
        f"{figure(one['lift'] and 100 * one['lift'], 3)} ({low} to {high})" if one["lift_bounded"] else "unbounded",
        figure(one["p_adjusted"], 2),
    ]
