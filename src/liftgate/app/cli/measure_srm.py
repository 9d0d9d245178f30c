"""`liftgate measure srm`: whether units come in the planned shares."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import Answer, answer, figure, print_table
from liftgate.app.cli.measure_options import LAST, Given, sharing


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("srm")(srm)


@sharing(
    "table", "log", "layer", "placement", "since", "until", "allow_gaps", "unit", "arm", *LAST,
    share="Planned share of an arm, as a weight; repeat for every arm. Left out: equal; with --log: what the log says.",
)  # fmt: skip
def srm(
    given: Given,
    *,
    stratum: Annotated[
        list[str] | None, typer.Option("--stratum", metavar="COL", help="Check each value of this column alone, too; may be repeated.")
    ] = None,
) -> None:
    """Check that units come in the planned shares: a sample-ratio mismatch (p < 0.001) means that no effect can be trusted.

    The e-value beside it may be looked at every day: it is evidence of a mismatch above 1000, however often one looks.

    Exit codes: 0 as planned, 3 mismatch, 2 asked wrongly.

    Example: liftgate measure srm --table customers.csv --unit customer_id --arm group

    Example: liftgate measure srm --table 'log/*.parquet' --unit person --arm arm --share treatment=9 --share holdout=1 --json

    Example: liftgate measure srm --log log --share treatment=9 --share holdout=1
    """

    def compute() -> Answer:
        from liftgate.measure.srm_table import check_split

        # Whoever came counts, however little time they have had since: no window is waited for.
        with source.opened(replace(given, window="")) as (path, made):
            return source.said_of(made) | check_split(
                path,
                source.role(given.unit, source.ROW, made, "--unit"),
                source.role(given.arm, source.ARM, made, "--arm"),
                source.shares(given.share or (), stratum or (), made),
                stratum or [],
                given.where,
            )

    answer("srm", given, compute, _show)


def _show(found: Answer) -> None:
    source.show(found)
    rows = [[name, str(n), f"{n / max(1, sum(found['n'].values())):.2%}", f"{found['shares'][name]:.2%}"] for name, n in found["n"].items()]
    print_table("Units by arm", ["arm", "units", "seen", "planned"], rows)
    typer.echo(f"chi-square {figure(found['chi2'])} on {found['df']} df, p {figure(found['p_value'])}; e-value {figure(found['e_value'])}")
    if found["strata"]:
        rows = [[name, figure(one["chi2"]), figure(one["p_value"]), figure(one["e_value"])] for name, one in found["strata"].items()]
        print_table("By stratum", ["stratum", "chi-square", "p", "e-value"], rows)
    typer.echo("The split is as planned." if found["refusal"] is None else "The split is NOT as planned.")
