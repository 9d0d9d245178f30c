"""`liftgate measure calibration`: whether scores may be read as probabilities."""

from __future__ import annotations

from typing import Annotated

import typer

from liftgate.app.cli import measure_decisions as decisions
from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import Answer, answer, figure, print_table
from liftgate.app.cli.measure_options import DECISION_LOG, DECISION_WINDOW, DECISIONS, Given, sharing
from liftgate.app.counted import counted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibration")(calibration)


@sharing("table", *DECISIONS, "where", "engine", "as_json", log=DECISION_LOG, window=DECISION_WINDOW)
def calibration(
    given: Given,
    *,
    score: Annotated[str, typer.Option("--score", metavar="COL", help="Column of the predicted probability, 0 to 1.")] = "",
    outcome: Annotated[str, typer.Option("--outcome", metavar="COL", help="Column of what happened, 0 or 1.")] = "",
    by: Annotated[str, typer.Option("--by", metavar="COL", help="Judge each value of this column alone, such as version.")] = "",
    bins: Annotated[int, typer.Option("--bins", min=2, max=100, help="Bins of both tables.")] = 10,
) -> None:
    """Say whether scores are probabilities: of those given 0.2, a fifth should do it.

    Values are multiplied by scores when offers are compared, so a score that is wrong by a factor sells the wrong offer. Judge a model on
    people whom it was not trained on, and on everybody scored, or on a random part of them: people whom a policy picked by score differ.

    Exit codes: 0 answered (see `calibrated` in JSON), 3 refused, 2 asked wrongly.

    Example: liftgate measure calibration --table scored.csv --score p --outcome bought

    Example: liftgate measure calibration --log log --window 7d --by version --where "branch = 'EXPLORE'"
    """

    def compute() -> Answer:
        from liftgate.measure.calibration_table import check_calibration, check_each
        from liftgate.measure.refusal import Misused

        if given.log is None and (not given.table or not score or not outcome):
            raise Misused("give --table with --score and --outcome, or --log")
        with decisions.opened(given) as (path, made):
            rows = given.where if made is None else decisions.both(decisions.SCORED, given.where)
            if made is not None and by != source.VERSION:
                mend = f"judge each: --by {source.VERSION}; or one alone: --where \"{source.VERSION} = '...'\""
                decisions.require_one_version(path, rows, mend)
            names = {"score": score or "score", "outcome": outcome or "reward"}
            judge = check_each if by else check_calibration
            one = {"by": by} if by else {}
            return decisions.said_of(made) | judge(path, **names, **one, bins=bins, where=rows)

    answer("calibration", given, compute, _show)


def _show(found: Answer) -> None:
    decisions.show(found)
    if parts := found.get("parts", {}):
        print_table(
            "Each alone", [found["by"], "rows", "with 1", "observed/expected", "slope", "ECE"], [_part(*one) for one in parts.items()]
        )
    for value, one in parts.items():
        typer.echo(f"\n{found['by']} {value}: {one['verdict'] if one['refusal'] is None else 'refused, ' + one['refusal']['why']}")
    if "measures" not in found:
        return
    seen = found["measures"]
    rows = [
        [f"{figure(one['low'])} to {figure(one['high'])}", str(one["n"]), figure(one["mean_score"]), figure(one["rate"])]
        for one in seen["bins_quantile"]
    ]
    print_table("Foreseen and seen, by quantile of the score", ["score", "rows", "foreseen", "seen"], rows)
    rows = [
        ["Brier", figure(seen["brier"]["estimate"]), f"{figure(seen['brier_by_chance'])} if calibrated"],
        ["log loss", figure(seen["log_loss"]["estimate"]), ""],
        ["ECE, equal width", figure(seen["ece_equal_width"]), f"{figure(seen['ece_equal_width_by_chance'])} by chance"],
        ["ECE, quantiles", figure(seen["ece_quantile"]), f"{figure(seen['ece_quantile_by_chance'])} by chance"],
        [
            "observed/expected",
            figure(found["estimate"]),
            f"{figure(found['ci_low'])} to {figure(found['ci_high'])}; 1 is right, p {figure(found['p_value'], 2)}",
        ],
    ]
    for name, right in (("slope", 1), ("intercept", 0)):
        one = seen[name]
        if one is not None:
            rows.append([name, figure(one["estimate"]), f"{figure(one['ci_low'])} to {figure(one['ci_high'])}; {right} is right"])
    for name, words, key in (("Spiegelhalter", "z", "spiegelhalter"), ("Cox, slope and intercept", "chi-square", "cox")):
        one = seen[key]
        if one is not None:
            rows.append([name, figure(one["statistic"]), f"{words}; p {figure(one['p_value'], 2)} if all scores are right"])
    print_table(f"{counted(seen['n'], 'row')}, {seen['events']} with outcome 1", ["measure", "value", "beside it"], rows)
    typer.echo(found["verdict"])


def _part(value: str, one: Answer) -> list[str]:
    seen = one.get("measures")
    if seen is None:
        return [value, str(one.get("n", "-")), "-", "refused", "-", "-"]
    slope = seen["slope"]
    return [
        value,
        str(seen["n"]),
        str(seen["events"]),
        f"{figure(one['estimate'], 3)} ({figure(one['ci_low'], 3)} to {figure(one['ci_high'], 3)})",
        "-" if slope is None else figure(slope["estimate"], 3),
        figure(seen["ece_quantile"], 3),
    ]
