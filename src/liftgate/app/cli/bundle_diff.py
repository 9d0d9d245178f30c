"""`liftgate bundle diff`: what two bundles say differently, and what that would have changed over a logged day."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liftgate.app.cli.say import fail

if TYPE_CHECKING:
    from liftgate.bundle.difference import Written
    from liftgate.replay.compare import Comparison

_FAILED, _WRONG = 1, 2
_SUFFIXES = (".open", ".seg", ".parquet")


def register(app: typer.Typer) -> None:
    """Add `diff` to the app."""
    app.command("diff")(diff)


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Folder of the bundle in force.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Folder of the bundle that would follow it.")],
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="DIR", help="A decision log: decide it again under both, and say what would have changed."),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, max=1000, help="How many decisions to name.")] = 5,
    models: Annotated[
        Path | None,
        typer.Option(
            "--models", metavar="DIR", help="Folder of models/<name>/<version>/ of both; default: models in each, else beside it."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what two bundles say differently, and with --log what that would have changed over the decisions that it holds.

    Without a log: offers, rules, caps, values, models, placements and layers that were added, removed or changed, as written, with file
    and line; and of layers that run by now: which phases NEW opens, where people carry over what OLD did to them, and what publish refuses.

    With a log (segments, sealed Parquet, or both): every decision is decided again under OLD and under NEW, from the inputs, the consent
    and the draws that were logged, so that a difference is the bundle's and never luck. First OLD must give what the log says; if it
    does not, nothing is concluded. What the record does not hold is counted by cause and left out, never guessed: docs/bundle.md says
    what that is. Each decision is taken by itself: what a person would have seen earlier under NEW is not followed up.

    Exit codes: 0 compared, 1 a bundle has mistakes, or the log cannot be used (the message says why), 2 the command was wrong.

    Example: liftgate bundle diff my-bundle my-bundle-next

    Example: liftgate bundle diff my-bundle my-bundle-next --log .liftgate/log --examples 20
    """
    from liftgate.app.cli.bundle_diff_print import document, show
    from liftgate.bundle.difference import difference
    from liftgate.bundle.layer_changes import Running

    before, after = _written(old, models, as_json), _written(new, models, as_json)
    changes = difference(before, after)
    found = None if log is None else _compare(log, before, after, examples, as_json)
    layers = Running.of(before.bundle, after.bundle, time.time_ns() // 1_000_000)
    if as_json:
        typer.echo(json.dumps(document(before, after, changes, layers, found), indent=2, ensure_ascii=False))
    else:
        show(before, after, changes, layers, found)
    if found is not None and (why := refusal(found)):
        fail(why, _FAILED, as_json)


def _written(directory: Path, models: Path | None, as_json: bool) -> Written:
    from liftgate.bundle.difference import Written
    from liftgate.bundle.load import check_bundle

    checked = check_bundle(directory, models)
    if checked.bundle is None:
        fail(
            f"{directory} has mistakes; `liftgate bundle check {directory}` shows them:\n" + "\n".join(map(str, checked.mistakes)),
            _FAILED,
            as_json,
        )
    return Written(checked.draft, checked.bundle)


def _compare(log: Path, before: Written, after: Written, examples: int, as_json: bool) -> Comparison:
    try:
        import pyarrow as pa
    except ImportError:
        fail("--log needs pyarrow: pip install 'liftgate[offline]'", _WRONG, as_json)
    from liftgate.adapters.onnx_models import OnnxModels
    from liftgate.app.cli.bundle_diff_print import deciding
    from liftgate.domain.errors import BadInput
    from liftgate.replay.compare import compare
    from liftgate.replay.logged import read_logged

    if not log.is_dir() or not any(path.suffix in _SUFFIXES for path in log.iterdir()):
        fail(f"--log {log}: no log is there; is it the DIR of `liftgate serve --log DIR`?", _WRONG, as_json)
    try:
        loaded = [OnnxModels.load(side.bundle) for side in (before, after)]
    except BadInput as err:
        fail(str(err), _FAILED, as_json)
    try:
        with deciding(log, quiet=as_json) as advance:
            return compare(read_logged(log), (before.bundle, loaded[0]), (after.bundle, loaded[1]), examples, advance)
    except (OSError, pa.ArrowException) as err:
        fail(f"the log cannot be read: {err}; `liftgate log verify {log}` says which file", _FAILED, as_json)


def refusal(found: Comparison) -> str:
    """Return why nothing can be concluded from the log; empty: it can."""
    if not found.read:
        return "the log holds no decision"
    if not found.decided_again and found.other_bundle:
        digest, count = found.other_bundle.most_common(1)[0]
        return (
            f"no decision that can be decided again was made under OLD: {count:,} of {found.read:,} were made under {digest[:12]}; "
            "give the bundle that was in force (`liftgate bundle digest` prints a bundle's)"
        )
    if not found.decided_again:
        return "no decision of this log can be decided again: the causes are listed"
    if found.not_reproduced:
        return (
            f"OLD gives {found.reproduction:.4%} of what the log says; below 100 % nothing is concluded: a difference might not be the "
            f"bundle's. First: {found.mismatches[0]}. Was the log written by another version of Liftgate or of its models?"
        )
    return ""
