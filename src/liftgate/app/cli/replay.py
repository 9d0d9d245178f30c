"""`liftgate replay`: every logged decision again, exactly; and under another bundle, with which probability it would have been made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liftgate.app.cli.say import fail

if TYPE_CHECKING:
    from liftgate.bundle.difference import Written
    from liftgate.replay.again import Again

_FAILED, _WRONG, _CHANGED, _OTHERWISE, _NOT_AGAIN = 1, 2, 3, 4, 5
_SUFFIXES = (".open", ".seg", ".parquet")
_TABLES = (".parquet", ".csv")


def register(app: typer.Typer) -> None:
    """Add `replay` to the app."""
    app.command("replay")(replay)


def replay(
    log: Annotated[
        Path, typer.Option("--log", metavar="DIR", envvar="LIFTGATE_LOG", help="The log, as `liftgate serve --log DIR` got it.")
    ],
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="DIR", help="A bundle's folder. Absent: the bundles that the log kept of itself, each for its own."
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            "--models",
            metavar="DIR",
            envvar="LIFTGATE_MODELS",
            help="Folder of <name>/<version>/model.onnx. Absent: `models` in the bundle's folder or beside it; else `models` here.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write with which probability --bundle would have done what was done: FILE.parquet or FILE.csv."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide every logged decision again through the same code: it comes out as logged, or the input that changed is named.

    Inputs, consent, draws, and what the record holds of counters, lists, controls and failures are taken from the log; conditions, models,
    values and policies run anew. Answers and probabilities must be exact, scores within 0.000001. Each decision runs under the bundle that
    made it: the log keeps them in `bundles/`, so that nothing but the models' files is needed besides. What changed is named: a model by
    its file's hash, a rule by its offer and section, an input of a record by its name.

    With --bundle of another bundle than the log's: what it says otherwise is named (exit code 3). With --out too, a table is written: for
    each decision and slot what was done, with which probability, and with which the other bundle would have done it, ready for `liftgate
    measure ope`. What cannot be known from the log is said row by row and left empty, never guessed: docs/replay.md.

    Exit codes: 0 every decision came out as logged, 1 the log cannot be read, 2 asked wrongly, 3 an input changed and is named, 4 decisions
    came out otherwise and no input changed (another version of Liftgate or of a library?), 5 decisions could not be decided again.

    Example: liftgate replay --log .liftgate/log --models models

    Example: liftgate replay --log .liftgate/log --bundle my-bundle-next --out target.parquet
    """
    from liftgate.app.cli.bundle_diff_print import deciding
    from liftgate.app.cli.replay_print import document, show

    _check(log, out, bundle, as_json)
    try:
        import pyarrow as pa
    except ImportError:
        fail("a replay needs pyarrow: pip install 'liftgate[offline]'", _WRONG, as_json)
    from liftgate.app.counterfactual import write_counterfactual
    from liftgate.app.replaying import Having
    from liftgate.replay.again import Again
    from liftgate.replay.read import NotedDamage, damaged_parquet, read_log

    given = None if bundle is None else given_bundle(bundle, models, as_json)
    again: Again
    having = Having(log, models or Path("models"), given, lambda kind, name, said: again.found.note(kind, name, said))
    again = Again(having)
    damage = NotedDamage(again.found)
    other = None
    try:
        with deciding(log, quiet=as_json) as advance:
            if given is not None and out is not None:
                other = write_counterfactual(log, having, given, out, damage, again, advance)
            else:
                for logged in read_log(log, damage):
                    again.add(logged)
                    advance(logged.n)
    except (OSError, pa.ArrowException) as err:
        for file, said in damaged_parquet(log):
            again.found.note("log", file, f"it cannot be read: {said}")
        if not again.found.changed:
            fail(f"the log cannot be read: {err}; `liftgate log verify {log}` says which file", _FAILED, as_json)
    found = again.found
    if not found.decisions and not found.changed:
        fail(f"--log {log}: it holds no decision", _WRONG, as_json)
    if given is not None and other is None and given.bundle.digest not in found.bundles:
        for digest in list(found.bundles):
            having.differences(digest, given)
    code = _code(again)
    if as_json:
        typer.echo(json.dumps(document(found, having.missing, other, code), indent=2, ensure_ascii=False))
    else:
        show(found, having.missing, other)
    raise typer.Exit(code)


def _check(log: Path, out: Path | None, bundle: Path | None, as_json: bool) -> None:
    if not log.is_dir() or not any(path.suffix in _SUFFIXES for path in log.iterdir()):
        fail(f"--log {log}: no log is there; is it the DIR of `liftgate serve --log DIR`?", _WRONG, as_json)
    if out is not None and bundle is None:
        fail("--out is about another bundle: give it with --bundle", _WRONG, as_json)
    if out is not None and out.suffix not in _TABLES:
        fail(f"--out {out}: name it .parquet or .csv", _WRONG, as_json)


def given_bundle(bundle: Path, models: Path | None, as_json: bool) -> Written:
    """Read a bundle that may be another than the log's; its mistakes end the command."""
    from liftgate.bundle.difference import Written
    from liftgate.bundle.load import check_bundle

    checked = check_bundle(bundle, models, weigh=False)
    if checked.bundle is None:
        mistakes = "\n".join(map(str, checked.mistakes))
        fail(f"{bundle} has mistakes; `liftgate bundle check {bundle}` shows them:\n{mistakes}", _WRONG, as_json)
    return Written(checked.draft, checked.bundle)


def _code(again: Again) -> int:
    found = again.found
    if any(one.kind != "result" for one in found.changed.values()):
        return _CHANGED
    if found.differing:
        return _OTHERWISE
    return _NOT_AGAIN if found.not_again else 0
