"""`liftgate hypotheses`: a ranked backlog of what to try, and afterwards how good the guesses were."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from liftgate.app.cli.hypotheses_print import row_of, show_backlog, show_learned, show_one, track_of
from liftgate.app.cli.hypotheses_setup import planned, setup_of
from liftgate.app.cli.measure_answer import MISUSED, answer
from liftgate.app.cli.measure_options import JSON_HELP, Given
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.app.backlog import Backlog, Filed

_HELP = """Keep hypotheses as files: what, why, how much it should bring, who owns it; rank them, run them, and learn from them.

One hypothesis a file, hypotheses/ID.yaml; comments in it are kept. docs/measurement.md explains the fields.

Exit codes: 0 answered, 3 refused (such as changing N* after the start), 2 a file has mistakes or the command was wrong.

Example: liftgate hypotheses list
"""

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class By(StrEnum):
    """What ranks the backlog."""

    ice = "ice"
    pie = "pie"


Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Folder of the hypothesis files.")]
AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Id = Annotated[str, typer.Argument(metavar="ID", help="The hypothesis: its file without .yaml.")]
_HERE = Path("hypotheses")


@app.command("list")
def list_(folder: Folder = _HERE, by: Annotated[By, typer.Option("--by", help="ICE or PIE.")] = By.ice, as_json: AsJson = False) -> None:
    """Show the backlog, the best score first. With mistakes in a file: all of them, with line and mend.

    Exit codes: 0 listed, 2 a file has mistakes.

    Example: liftgate hypotheses list --by pie
    """

    answer("", Given(as_json=as_json), lambda: backlog_of(folder, by.value, as_json), show_backlog)


def backlog_of(folder: Path, by: Literal["ice", "pie"], as_json: bool) -> dict[str, Any]:
    """Return the ranked backlog as `list` prints it; with mistakes in a file, print them and end."""
    from liftgate.measure.hypotheses import ICE_FORMULA, PIE_FORMULA, ranked

    backlog = _good(folder, as_json)
    rows = [row_of(one, rank) for rank, one in enumerate(ranked((each.hypothesis for each in backlog.filed.values()), by), 1)]
    return {"what": "hypotheses", "by": by, "formula": {"ice": ICE_FORMULA, "pie": PIE_FORMULA}, "hypotheses": rows}


def learned_of(folder: Path, as_json: bool) -> dict[str, Any]:
    """Return how good the guesses were as `learn` prints it; a refusal before the first measurement."""
    from liftgate.measure.hypotheses import track
    from liftgate.measure.refusal import Refusal

    found = track(each.hypothesis for each in _good(folder, as_json).filed.values())
    if found is None:
        why = Refusal("nothing_measured", "no hypothesis has a measurement yet", "record one: liftgate hypotheses learn ID --lift X%")
        return {"refusal": why.as_json()}
    return {"refusal": None} | track_of(found)


@app.command("new")
def new(
    id_: Id,
    what: Annotated[str, typer.Option("--what", help="The change, and for whom.")],
    why: Annotated[str, typer.Option("--why", help="The evidence or reasoning.")],
    expected_lift: Annotated[str, typer.Option("--expected-lift", metavar="X%", help="Relative to control: 5% or 0.05.")],
    metric: Annotated[str, typer.Option("--metric", help="What it is measured by.")],
    owner: Annotated[str, typer.Option("--owner", help="Who answers for it.")],
    folder: Folder = _HERE,
    as_json: AsJson = False,
) -> None:
    """Write a hypothesis down, before its experiment.

    Exit codes: 0 written, 2 a field is wrong or the file is there already.

    Example: liftgate hypotheses new banner --what "Show a banner" --why "Half leave" --expected-lift 5% --metric purchase --owner ana
    """
    fields = {"id": id_, "what": what, "why": why, "expected_lift": _share(expected_lift, as_json), "metric": metric, "owner": owner}

    def compute() -> dict[str, Any]:
        from liftgate.app.backlog import write_new

        return _kept(lambda: write_new(folder, fields))

    answer("", Given(as_json=as_json), compute, show_one)


@app.command("score")
def score(
    id_: Id,
    impact: Annotated[int | None, typer.Option("--impact", help="ICE: how much it would change, 1 to 10.")] = None,
    confidence: Annotated[int | None, typer.Option("--confidence", help="ICE: how sure you are, 1 to 10.")] = None,
    potential: Annotated[int | None, typer.Option("--potential", help="PIE: how much room there is, 1 to 10.")] = None,
    importance: Annotated[int | None, typer.Option("--importance", help="PIE: how much the traffic there is worth, 1 to 10.")] = None,
    ease: Annotated[int | None, typer.Option("--ease", help="ICE and PIE: how easy it is, 1 to 10.")] = None,
    folder: Folder = _HERE,
    as_json: AsJson = False,
) -> None:
    """Score a hypothesis: ICE = impact x confidence x ease, PIE = mean of potential, importance and ease.

    Exit codes: 0 scored, 2 a score is missing or not 1 to 10, or there is no such hypothesis.

    Example: liftgate hypotheses score banner --impact 8 --confidence 5 --ease 3 --potential 7 --importance 9
    """
    groups = {"ice": {"impact": impact, "confidence": confidence}, "pie": {"potential": potential, "importance": importance}}
    fields = {name: parts | {"ease": ease} for name, parts in groups.items() if any(each is not None for each in parts.values())}
    if not fields or any(each is None for parts in fields.values() for each in parts.values()):
        fail("ICE wants --impact, --confidence and --ease; PIE wants --potential, --importance and --ease", MISUSED, as_json)

    def compute() -> dict[str, Any]:
        from liftgate.app.backlog import change

        filed = _named(folder, id_, as_json)
        return _kept(lambda: change(filed, fields))

    answer("", Given(as_json=as_json), compute, show_one)


@app.command("link")
def link(
    id_: Id,
    experiment: Annotated[str, typer.Option("--experiment", metavar="ID", help="The experiment that tests it.")],
    n_star: Annotated[
        int | None, typer.Option("--n-star", metavar="N", help="N*: units of both arms at which the answer is wanted.")
    ] = None,
    baseline: Annotated[
        float | None, typer.Option("--baseline", metavar="X", help="Or plan N* for the expected lift from this baseline.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option("--sd", metavar="X", help="With --baseline: the metric is a mean with this deviation.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option("--arm", metavar="NAME", help="An arm beside control; repeat for A/B/n. Absent: treatment.")
    ] = None,
    folder: Folder = _HERE,
    as_json: AsJson = False,
) -> None:
    """Tie a hypothesis to its experiment and freeze N*, before it starts; prints the experiment's setup and its layer for the bundle.

    N* frozen stays frozen: an N* that follows the data voids the confidence sequence.

    Exit codes: 0 linked, 3 it is linked already with another experiment or N*, 2 asked wrongly.

    Example: liftgate hypotheses link banner --experiment banner-2026q4 --baseline 0.05

    Example: liftgate hypotheses link banner --experiment banner-2026q4 --baseline 0.05 --arm red --arm blue
    """
    if (n_star is None) == (baseline is None):
        fail("give --n-star, or --baseline to plan it for the expected lift (with --sd for a mean)", MISUSED, as_json)
    arms = tuple(dict.fromkeys(arm or ("treatment",)))
    if "control" in arms:
        fail("--arm control: the control is there anyway; name the others", MISUSED, as_json)

    def compute() -> dict[str, Any]:
        from liftgate.app.backlog import change
        from liftgate.measure.refusal import Refused

        filed = _named(folder, id_, as_json)
        known = filed.hypothesis
        wanted = n_star if n_star is not None else planned(known.expected_lift, baseline or 0.0, sd, arms)
        if (known.experiment_id, known.n_star) not in ((None, None), (experiment, wanted)):
            raise Refused(
                "n_star_frozen",
                f"{id_} is linked to {known.experiment_id} with N* {known.n_star}, which was fixed before the start",
                "write a new hypothesis for another experiment",
            )
        found = _kept(lambda: change(filed, {"experiment_id": experiment, "n_star": wanted}))
        return found | {"setup": setup_of(found["hypothesis"], arms)}

    answer("", Given(as_json=as_json), compute, show_one)


@app.command("learn")
def learn(
    id_: Annotated[
        str, typer.Argument(metavar="[ID]", help="Record what this one's experiment found; left out: hold all guesses to what came.")
    ] = "",
    lift: Annotated[str, typer.Option("--lift", metavar="X%", help="The measured lift, relative to control.")] = "",
    ci_low: Annotated[str, typer.Option("--ci-low", metavar="X%", help="Its interval's lower end.")] = "",
    ci_high: Annotated[str, typer.Option("--ci-high", metavar="X%", help="Its upper end.")] = "",
    read: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Instead of --lift: what `liftgate measure lift --json` printed.")
    ] = None,
    arm: Annotated[
        str, typer.Option("--arm", metavar="ARM", help="With --from, where it holds several arms: the one that tested it.")
    ] = "",
    on: Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="The day of the readout.")] = "",
    folder: Folder = _HERE,
    as_json: AsJson = False,
) -> None:
    """Hold guesses to measurements: by how much they run high, how often the direction was right, whether the score finds winners.

    Exit codes: 0 answered, 3 nothing is measured yet or the experiment was never linked, 2 asked wrongly.

    Example: liftgate hypotheses learn banner --lift 3.1% --ci-low 0.8% --ci-high 5.4% --on 2026-11-22

    Example: liftgate hypotheses learn banner --from readout.json --on 2026-11-22

    Example: liftgate hypotheses learn
    """
    if bool(id_) != (bool(lift) != (read is not None)):
        fail("to record a readout give ID and --lift or --from; to see what was learned give none of them", MISUSED, as_json)
    ends = {"ci_low": ci_low, "ci_high": ci_high}
    measured: dict[str, Any] = {name: _share(text, as_json) for name, text in ({"lift": lift} | ends).items() if text} | (
        {"on": on} if on else {}
    )

    def compute() -> dict[str, Any]:
        from liftgate.app.backlog import change
        from liftgate.app.cli.hypotheses_readout import read_out
        from liftgate.measure.refusal import Refused

        if id_:
            filed = _named(folder, id_, as_json)
            if filed.hypothesis.experiment_id is None:
                raise Refused(
                    "not_linked",
                    f"{id_} has no experiment: a guess is tested by what was set up to test it",
                    f"run `liftgate hypotheses link {id_}` before the experiment starts",
                )
            found_lift = {} if read is None else read_out(read, filed.hypothesis.metric, arm)
            _kept(lambda: change(filed, {"measured": found_lift | measured}))
        return learned_of(folder, as_json)

    answer("", Given(as_json=as_json), compute, show_learned)


def _share(text: str, as_json: bool) -> float:
    try:
        return float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        fail(f"{text!r} is no share; write 5% or 0.05", MISUSED, as_json)


def _good(folder: Path, as_json: bool) -> Backlog:
    """Return the backlog; with a mistake in any file, print all of them and end."""
    from liftgate.app.backlog import read_backlog

    if not folder.is_dir():
        fail(f"there is no folder {folder}; `liftgate hypotheses new` makes it, --dir names another", MISUSED, as_json)
    try:
        backlog = read_backlog(folder)
    except OSError as err:
        fail(f"{folder} cannot be read ({err.strerror})", MISUSED, as_json)
    if backlog.mistakes and as_json:
        typer.echo(json.dumps({"refusal": None, "mistakes": [asdict(one) for one in backlog.mistakes]}, indent=2))
        raise typer.Exit(MISUSED)
    if backlog.mistakes:
        fail(f"{counted(len(backlog.mistakes), 'mistake')} in {folder}:\n" + "\n".join(map(str, backlog.mistakes)), MISUSED, as_json)
    return backlog


def _named(folder: Path, id_: str, as_json: bool) -> Filed:
    backlog = _good(folder, as_json)
    if id_ not in backlog.filed:
        from liftgate.bundle.mistake import did_you_mean

        fail(
            f"{folder} has no {id_}; {did_you_mean(id_, backlog.filed, '`liftgate hypotheses list` shows what there is')}", MISUSED, as_json
        )
    return backlog.filed[id_]


def _kept(write: Any) -> dict[str, Any]:
    from liftgate.app.backlog import CannotKeep
    from liftgate.measure.refusal import Misused

    try:
        filed: Filed = write()
    except CannotKeep as err:
        raise Misused(str(err)) from err
    except OSError as err:
        raise Misused(f"the file cannot be written ({err.strerror})") from err
    return {"file": str(filed.path), "hypothesis": row_of(filed.hypothesis)}
