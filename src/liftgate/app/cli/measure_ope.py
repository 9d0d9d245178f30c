"""`liftgate measure ope`: what another policy would have earned, from decisions already logged."""

from __future__ import annotations

from typing import Annotated

import typer

from liftgate.app.cli import measure_decisions as decisions
from liftgate.app.cli.measure_answer import Answer, answer, figure, print_table
from liftgate.app.cli.measure_options import DECISION_LOG, DECISION_WINDOW, DECISIONS, Given, sharing

_SHOWN_ACTIONS = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ope")(ope)


@sharing("table", *DECISIONS, "where", "engine", "as_json", log=DECISION_LOG, window=DECISION_WINDOW)
def ope(
    given: Given,
    *,
    action: Annotated[str, typer.Option("--action", metavar="COL", help="Column of the action that was taken.")] = "",
    reward: Annotated[str, typer.Option("--reward", metavar="COL", help="Column of what it earned; 0 where nothing came of it.")] = "",
    logged_probability: Annotated[
        str, typer.Option("--logged-probability", metavar="COL", help="Column of the probability with which it was taken.")
    ] = "",
    target_probability: Annotated[
        str,
        typer.Option(
            "--target-probability",
            metavar="COL",
            help="Column of the probability with which the other policy takes that action; with --log an even draw unless named.",
        ),
    ] = "",
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="COL", help="Column of the person, where one has several decisions.")
    ] = None,
    q_logged: Annotated[str | None, typer.Option("--q-logged", metavar="COL", help="Predicted reward of the action taken.")] = None,
    q_target: Annotated[str | None, typer.Option("--q-target", metavar="COL", help="Predicted reward under the other policy.")] = None,
    unsupported: Annotated[
        str | None,
        typer.Option("--unsupported", metavar="COL", help="Probability of the other policy on actions to which the log gave none."),
    ] = None,
    clip: Annotated[float, typer.Option("--clip", min=1, help="Largest weight of clipped_ips.")] = 10.0,
    switch: Annotated[float, typer.Option("--switch", min=0, help="Weight above which switch_dr trusts the prediction alone.")] = 10.0,
    min_ess_share: Annotated[
        float, typer.Option("--min-ess-share", min=0, max=1, help="Refuse below this effective share of the decisions.")
    ] = 0.01,
    replicates: Annotated[int, typer.Option("--replicates", min=0, max=100_000, help="Bootstrap samples of people; 0: none.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Say what another policy would have earned a decision, and how far that can be believed.

    A decision counts for as much as the other policy would have taken it more often than the one that ran: its weight is target over
    logged probability. Refuses where the log cannot know: no support, a logged probability of 0, a mean weight far from 1, too few
    effective decisions, NaN. From a log (--log) the other policy is an even draw among the offers that could be drawn; of another bundle
    `liftgate simulate` says it.

    Exit codes: 0 answered, 3 refused, 2 asked wrongly.

    Example: liftgate measure ope --table decisions.parquet --action offer --reward spend --logged-probability p --target-probability p_new

    Example: liftgate measure ope --table d.csv --action offer --reward bought --logged-probability p --target-probability p_new
    --cluster person --q-logged q --q-target q_new --json

    Example: liftgate measure ope --log log --window 7d --metric purchase_value
    """

    def compute() -> Answer:
        from liftgate.measure.refusal import Misused

        usual = {"--action": "offer", "--reward": "reward", "--logged-probability": "probability", "--target-probability": "even"}
        named = dict(zip(usual, (action, reward, logged_probability, target_probability), strict=True))
        if lacking := [name for name, column in named.items() if not column and given.log is None]:
            raise Misused(f"--table wants {', '.join(lacking)} with it")
        with decisions.opened(given) as (path, made):
            columns = {name: column or usual[name] for name, column in named.items()}
            return decisions.said_of(made) | value(path, columns, cluster or (None if made is None else "unit"))

    def value(path: str, columns: dict[str, str], cluster: str | None) -> Answer:
        from liftgate.measure.ope_table import value_policy
        from liftgate.measure.ope_trust import Limits

        return value_policy(
            path,
            action=columns["--action"],
            reward=columns["--reward"],
            logged_probability=columns["--logged-probability"],
            target_probability=columns["--target-probability"],
            cluster=cluster,
            q_logged=q_logged,
            q_target=q_target,
            unsupported=unsupported,
            where=given.where,
            limits=Limits(min_ess_share=min_ess_share),
            clip=clip,
            switch=switch,
            replicates=replicates,
            seed=seed,
        )

    answer("ope", given, compute, _show)


def _show(found: Answer) -> None:
    decisions.show(found)
    if "estimates" in found:
        rows = [
            [one["estimator"], figure(one["estimate"]), _range(one, "ci"), _range(one, "bootstrap_ci"), _range(one, "difference_ci", 3)]
            for one in (found["on_log"], *found["estimates"])
        ]
        print_table("Reward a decision", ["estimator", "estimate", "95 % interval", "bootstrap", "minus the log"], rows)
    if "diagnostics" in found:
        _show_weights(found)
    if found["estimate"] is None:
        return
    low, high = found["difference_ci_low"], found["difference_ci_high"]
    says = "more than" if low > 0 else "less than" if high < 0 else "not distinguishably other than"
    typer.echo(
        f"The other policy would have earned {figure(found['estimate'])} a decision ({found['estimator']}; "
        f"{figure(found['ci_low'])} to {figure(found['ci_high'])}), {says} the {figure(found['on_log']['estimate'])} that was earned."
    )
    for words in found["warnings"]:
        typer.echo(f"Mind: {words}.")


def _show_weights(found: Answer) -> None:
    seen = found["diagnostics"]
    typer.echo(
        f"{seen['n']:,} decisions of {seen['units']:,} units count for {seen['ess']:,.1f} ({seen['ess_share']:.2%}); mean weight "
        f"{figure(seen['mean_weight'])} (should be 1, s.e. {figure(seen['mean_weight_se'])}), largest {figure(seen['max_weight'])}, "
        f"largest 1 % carry {seen['top_1_percent_share']:.1%}"
    )
    rows = [
        [
            one["action"],
            str(one["n"]),
            f"{one['logged_share']:.2%}",
            f"{one['target_share']:.2%}",
            f"{one['ess']:,.0f}",
            figure(one["smallest_logged_probability"]),
        ]
        for one in found["actions"][:_SHOWN_ACTIONS]
    ]
    left = len(found["actions"]) - len(rows)
    title = "Support by action" + (f" (the {left} of the smallest target share are in --json)" if left else "")
    print_table(title, ["action", "decisions", "in the log", "in the target", "effective", "least probability"], rows)


def _range(one: Answer, name: str, digits: int = 4) -> str:
    low, high = one[f"{name}_low"], one[f"{name}_high"]
    return "-" if low is None or low == high == 0 else f"{figure(low, digits)} to {figure(high, digits)}"
