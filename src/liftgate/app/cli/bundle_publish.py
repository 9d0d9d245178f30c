"""`liftgate bundle publish` and `rollback`: a checked bundle, put where servers read it, whole, by somebody, for a reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from liftgate.app.cli.asking import Asking
from liftgate.app.cli.say import fail
from liftgate.app.cli.target import FAILED, WRONG, AsJson, Plaintext, TlsCa, ca, token
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.adapters.admin_client import AdminClient
    from liftgate.app.announce import Announcer
    from liftgate.bundle.compiled import Bundle
    from liftgate.bundle.mistake import Mistake

Reason = Annotated[str, typer.Option("--reason", help="Why, for the audit chain.")]
Service = Annotated[
    str | None,
    typer.Option("--target", envvar="LIFTGATE_TARGET", help="A server, HOST:PORT: it says who you are, keeps the record, and reloads."),
]
OperatorsFile = Annotated[Path | None, typer.Option("--operators", metavar="FILE", help="Without --target: the operators file.")]
Log = Annotated[
    Path | None, typer.Option("--log", metavar="DIR", help="Without --target: the log directory whose audit chain takes the act.")
]
Redis = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Without --target: where reviews look for the author.")]
_ASK_S = 10.0
Where = Annotated[Path, typer.Argument(metavar="TARGET_DIR", help="Where versions lie; servers run with --bundle TARGET_DIR/current.")]


def register(app: typer.Typer) -> None:
    """Add `publish` and `rollback` to the app."""
    app.command("publish")(publish)
    app.command("rollback")(rollback)


def publish(
    source: Annotated[Path, typer.Argument(metavar="SOURCE_DIR", help="Folder that holds the bundle's *.yaml files.")],
    directory: Where,
    reason: Reason,
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Folder of models/<name>/<version>/; default: models in SOURCE_DIR, else beside it."),
    ] = None,
    target: Service = None,
    operators: OperatorsFile = None,
    log: Log = None,
    redis: Redis = None,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    as_json: AsJson = False,
) -> None:
    """Check a bundle, run its tests, and publish it: written whole beside the old one, then one link is swapped.

    The copy that is published is the one that was checked: rules, models against their golden vectors, and the cases in tests/*.yaml.
    Then the act goes into the audit chain with your name (by the token in LIFTGATE_TOKEN, role `admin`), the digest before and after,
    and the reason. With --target what is sensitive and nobody has handed in for review is handed in by you, so that you are its author
    and another person must approve it; the server then reloads, on every worker, and says how it went.

    Exit codes: 0 published, or nothing to publish, 1 it has mistakes, a case failed, or a server kept the old one, 2 the command was
    wrong or refused.

    Example: liftgate bundle publish my-bundle /srv/liftgate/shop --reason "autumn offers" --target 127.0.0.1:7420
    """
    from liftgate.app.publish import CURRENT, locked, place, sidecar_of, staged

    _wants_reason(reason, as_json)
    with _plain_words(as_json), _announcer(target, operators, log, redis, tls_ca, plaintext, as_json) as (announcer, client):
        bundle = _checked(source, models, as_json)
        with locked(directory), staged(source, bundle, directory) as copy:
            if _checked(copy, None, as_json).digest != bundle.digest:
                fail(f"{source} went on changing while it was copied; publish again once it is written", FAILED, as_json)
            ran = _tested(copy, bundle, as_json)
            before = sidecar_of(directory / CURRENT)
            if before is not None and before.digest == bundle.digest:
                _say({"result": "unchanged", "bundle": bundle.name, "digest": bundle.digest}, as_json)
                return
            previous_digest = before.digest if before else ""
            reason, carried = _layers_go_on(directory / CURRENT, bundle, reason, as_json)
            sidecar = _announced(announcer, bundle, previous_digest, reason)
            version = place(copy, directory, sidecar)
            handed_in = _handed_in(bundle, Asking(target, tls_ca, plaintext, _ASK_S, as_json), reason) if target is not None else []
            _lead(directory, version)
        document = {
            "result": "published",
            "bundle": bundle.name,
            "digest": bundle.digest,
            "previous_digest": previous_digest,
            "author": sidecar.author,
            "cases": ran,
            "sensitive": sorted(review.subject for review in bundle.reviews.values()),
            "handed_in": handed_in,
            "version": str(version),
            "cautions": carried,
        }
        _finish(document, client, reason, directory, as_json)


def rollback(
    directory: Where,
    reason: Reason,
    target: Service = None,
    operators: OperatorsFile = None,
    log: Log = None,
    redis: Redis = None,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    as_json: AsJson = False,
) -> None:
    """Go back to the version before: one link is swapped, and swapped back by a second rollback. Recorded as a publish of the old digest.

    Exit codes: 0 done, 1 the old version has mistakes by now, or a server kept what it had, 2 the command was wrong or refused.

    Example: liftgate bundle rollback /srv/liftgate/shop --reason "complaints" --target 127.0.0.1:7420
    """
    from liftgate.app.publish import CURRENT, locked, previous, sidecar_of

    _wants_reason(reason, as_json)
    with _plain_words(as_json), _announcer(target, operators, log, redis, tls_ca, plaintext, as_json) as (announcer, client):
        with locked(directory):
            version = previous(directory)
            bundle = _checked(version, None, as_json)
            now = sidecar_of(directory / CURRENT)
            sidecar = _announced(announcer, bundle, now.digest if now else "", reason)
            _lead(directory, version)
        document = {
            "result": "rolled back",
            "bundle": bundle.name,
            "digest": bundle.digest,
            "previous_digest": sidecar.previous_digest,
            "author": sidecar.author,
            "version": str(version),
        }
        _finish(document, client, reason, directory, as_json)


def _wants_reason(reason: str, as_json: bool) -> None:
    if not reason.strip():
        fail("--reason wants a few words on why", WRONG, as_json)


@contextmanager
def _plain_words(as_json: bool) -> Iterator[None]:
    """Turn what can go wrong into words and an exit code."""
    from liftgate.adapters.admin_client import CallFailed, WouldLeak
    from liftgate.app.publish import CannotPublish
    from liftgate.domain.errors import BadInput, LogUnavailable, NotAuthenticated, NotPermitted, StoreUnavailable

    try:
        yield
    except (CallFailed, WouldLeak, CannotPublish, BadInput, NotAuthenticated, NotPermitted) as err:
        fail(str(err), WRONG, as_json)
    except LogUnavailable as err:
        fail(f"the act cannot be recorded, so nothing was published: {err}", FAILED, as_json)
    except StoreUnavailable as err:
        fail(f"--redis does not answer, so nobody can be told who the author is, and nothing was published: {err}", FAILED, as_json)


@contextmanager
def _announcer(
    target: str | None,
    operators: Path | None,
    log: Path | None,
    redis: str | None,
    tls_ca: Path | None,
    plaintext: bool,
    as_json: bool,
) -> Iterator[tuple[Announcer, AdminClient | None]]:
    """Give who records the act, and the server to reload, if one was named."""
    from liftgate.adapters.admin_client import AdminClient
    from liftgate.adapters.redis_client import connect
    from liftgate.app.announce import OnThisMachine, ThroughServer

    if target is not None:
        with AdminClient(target, token(as_json), tls_ca=ca(tls_ca, as_json), plaintext=plaintext, timeout_s=90.0) as client:
            yield ThroughServer(client), client
        return
    if operators is None or log is None:
        fail("say who records it: --target HOST:PORT of a server, or --operators FILE and --log DIR of this machine", WRONG, as_json)
    if redis is not None:
        try:
            connect(redis)
        except ValueError as err:
            fail(f"--redis: {err}", WRONG, as_json)
    yield OnThisMachine(token(as_json), operators, log, redis), None


def _checked(directory: Path, models: Path | None, as_json: bool) -> Bundle:
    from liftgate.bundle.load import check_bundle

    checked = check_bundle(directory, models)
    if checked.bundle is None:
        _mistaken(checked.mistakes, as_json)
    return checked.bundle


def _tested(copy: Path, bundle: Bundle, as_json: bool) -> int:
    """Hold the copy's models to their golden vectors and run its cases; return how many there were."""
    from liftgate.adapters.onnx_models import OnnxModels
    from liftgate.app.cases.reading import plan
    from liftgate.app.cases.run import run
    from liftgate.bundle.load import load_bundle

    staged = load_bundle(copy)
    loaded = OnnxModels.load(staged)
    planned = plan(copy, staged)
    if planned.mistakes:
        _mistaken(sorted(set(planned.mistakes)), as_json)
    ran = run(planned.cases, staged, loaded) if planned.cases else []
    failed = [one for one in ran if not one.passed]
    if failed:
        lines = [f"{one.planned.name}: {problem}" for one in failed for problem in one.problems]
        count = f"{len(failed)} of {counted(len(ran), 'case')} failed"
        fail("\n".join([f"nothing was published: {count}; `liftgate bundle test` shows them", *lines]), FAILED, as_json)
    return len(ran)


def _layers_go_on(current: Path, bundle: Bundle, reason: str, as_json: bool) -> tuple[str, list[str]]:
    """Refuse what may not change about layers that run. Return the reason with the phases that are opened, and what is carried over."""
    from liftgate.adapters.system import SystemClock
    from liftgate.bundle import layer_changes
    from liftgate.bundle.load import check_bundle

    old = check_bundle(current).bundle if current.exists() else None
    if old is None:
        return reason, []
    now_ms = SystemClock().now_ms()
    mistakes = layer_changes.refused_to_publish(old, bundle, now_ms)
    if mistakes:
        _mistaken(mistakes, as_json)
    carried = [f"{one.field}: {one.text}" for one in layer_changes.carry_over(old, bundle, now_ms)]
    return "; ".join((reason, *layer_changes.openings(old, bundle))), carried


def _handed_in(bundle: Bundle, asking: Asking, reason: str) -> list[str]:
    """Hand in for review what is sensitive and nobody has submitted: whoever publishes is its author then. Return what was."""
    if not bundle.reviews:
        return []
    known = {item["review_id"] for item in asking.ask("reviews", "List", all=True)["items"] if item["acts"]}
    fresh = [review for review in bundle.reviews.values() if review.digest not in known]
    if fresh:
        texts = [{"text": review.text.decode(), "source": review.source} for review in fresh]
        asking.ask("reviews", "Submit", submissions=texts, reason=reason)
    return sorted(review.subject for review in fresh)


def _announced(announcer: Announcer, bundle: Bundle, previous_digest: str, reason: str) -> Any:
    from liftgate.app.publish import Sidecar

    author, at_ms = announcer.announce(bundle.name, bundle.digest, previous_digest, reason)
    return Sidecar(bundle.name, bundle.digest, author, at_ms, reason, previous_digest)


def _lead(directory: Path, version: Path) -> None:
    from liftgate.app.publish import lead

    lead(directory, version)


def _finish(document: dict[str, Any], client: AdminClient | None, reason: str, directory: Path, as_json: bool) -> None:
    """Say what is published, have the server reload, and end the command when it does not run that bundle then."""
    from liftgate.app.cli.reload import show_outcomes

    outcomes = client.reload(reason) if client is not None else []
    if as_json:
        document |= {"workers": [asdict(one) for one in outcomes]}
    _say(document, as_json)
    good = as_json or show_outcomes(outcomes, False)
    if not good or any(one.result not in ("swapped", "unchanged") for one in outcomes):
        raise typer.Exit(FAILED)
    if any(one.digest != document["digest"] for one in outcomes):
        fail(f"the server runs another bundle: it was not started with --bundle {directory / 'current'}", FAILED, as_json)


def _mistaken(mistakes: Iterable[Mistake], as_json: bool) -> NoReturn:
    found = list(mistakes)
    if as_json:
        listed = [{"file": m.file, "line": m.line, "field": m.field, "problem": m.problem, "mend": m.mend} for m in found]
        typer.echo(json.dumps({"result": "refused", "mistakes": listed}, indent=2))
        raise typer.Exit(FAILED)
    count = f"{counted(len(found), 'mistake')}"
    fail("\n".join([f"nothing was published: {count}", *(f"  {mistake}" for mistake in found)]), FAILED)


def _say(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(document))
        return
    if document["result"] == "unchanged":
        typer.echo(f"unchanged: {document['bundle']} {document['digest'][:12]} is current already")
        return
    cases = f", {document['cases']} case{'s' if document['cases'] != 1 else ''} passed" if "cases" in document else ""
    before = document["previous_digest"][:12] or "nothing"
    typer.echo(f"{document['result']}: {document['bundle']} {document['digest'][:12]} by {document['author']}, was {before}{cases}")
    for caution in document.get("cautions", ()):
        typer.echo(f"caution: {caution}")
    if document.get("sensitive"):
        subjects = ", ".join(document["sensitive"])
        typer.echo(f"shown only while an approval of exactly this stands (`liftgate review list`): {subjects}")
    if document.get("handed_in"):
        typer.echo(f"handed in for review, so another person than {document['author']} must approve: {', '.join(document['handed_in'])}")
