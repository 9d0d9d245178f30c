"""`liftgate measure uplift`: whether a score finds the people whom an offer moves."""

from __future__ import annotations

from typing import Annotated

import typer

from liftgate.app.cli import measure_decisions as decisions
from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import Answer, answer, figure, print_table
from liftgate.app.cli.measure_options import LAST, METRIC, PEOPLE, Given, sharing

_SCORE_HELP = (
    "Column of the score; high means: treat first. With --log: what the model foretold of the first offer that was chosen for a person, "
    "shown or withheld, less what it foretold without it."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("uplift")(uplift)


@sharing(*PEOPLE, "arm", "control", *LAST, arm="Column of the arm, randomised.")
def uplift(
    given: Given,
    *,
    score: Annotated[str, typer.Option("--score", metavar="COL", help=_SCORE_HELP)] = "",
    outcome: Annotated[str, typer.Option("--outcome", metavar="COL", help="Column of what happened: 0 or 1, or an amount.")] = "",
    treatment: Annotated[
        str | None, typer.Option("--treatment", metavar="VALUE", help="The arm to compare, where there are several.")
    ] = None,
    at: Annotated[
        list[float] | None, typer.Option("--at", help="Share of people for uplift@k; may be repeated. Left out: 0.1 0.2 0.3.")
    ] = None,
    replicates: Annotated[int, typer.Option("--replicates", min=50, max=100_000, help="Bootstrap samples of people.")] = 500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Say whether a score ranks people by what the treatment does to them: Qini, AUUC, uplift among the best, by tenths.

    A score that foresees who buys is not one that foresees whom the offer moves; only a randomised experiment tells them apart. Every row
    is one person. Judge people whom the model was not trained on.

    Exit codes: 0 answered, 3 refused, 2 asked wrongly.

    Example: liftgate measure uplift --table test.csv --score uplift --outcome bought --arm group --control none

    Example: liftgate measure uplift --log log --window 7d --outcome purchase_value
    """

    def compute() -> Answer:
        from liftgate.measure.uplift_table import rank_value

        with source.opened(given, score=True) as (path, made):
            rows = given.where if made is None else decisions.both(decisions.SCORED, given.where)
            source.strata((), made, path, rows)
            return source.said_of(made) | rank_value(
                path,
                score=source.role(score, "score", made, "--score"),
                outcome=source.role(outcome, METRIC, made, "--outcome"),
                arm=source.role(given.arm, source.ARM, made, "--arm"),
                control=source.role(given.control, "" if given.layer else source.CONTROL, made, "--control"),
                treatment=treatment,
                at=at or (0.1, 0.2, 0.3),
                where=rows,
                share=source.shares(given.share or (), (), made),
                replicates=replicates,
                seed=seed,
            )

    answer("uplift", given, compute, _show)


def _show(found: Answer) -> None:
    source.show(found)
    if "measures" not in found:
        return
    seen = found["measures"]
    header = ["people", "treated", "control", "mean treated", "mean control", "effect", "95 % interval"]
    best = [_row(f"best {one['share']:.1%}", one) for one in seen["at"]]
    print_table("Uplift among the best", header, [*best, _row("everybody", seen["average_effect"])])
    print_table("By tenths of the score, best first", header, [_row(f"{i}", one) for i, one in enumerate(seen["deciles"], 1)])
    random = seen["auuc_random"]
    typer.echo(
        f"Qini {figure(found['estimate'])} ({figure(found['ci_low'])} to {figure(found['ci_high'])}; a random order has 0, "
        f"p {figure(found['p_value'], 2)}). "
        f"AUUC {figure(seen['auuc']['estimate'])} (a random order has {figure(random)})."
    )
    if found["ci_low"] > 0:
        typer.echo("The score finds people whom the treatment moves more than others.")
    elif found["ci_high"] < 0:
        typer.echo("The score puts people first whom the treatment moves less: the order is the wrong way round.")
    else:
        typer.echo("The order cannot be told from a random one: choosing people by it is worth no more than drawing lots.")


def _row(name: str, one: Answer) -> list[str]:
    low, high = one["ci_low"], one["ci_high"]
    return [
        name,
        str(one["n_treated"]),
        str(one["n_control"]),
        figure(one["mean_treated"]),
        figure(one["mean_control"]),
        figure(one["effect"]),
        "-" if low is None else f"{figure(low)} to {figure(high)}",
    ]
