"""`liftgate explain`: why a decision came out as it did, from the log alone, however old it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import FAILED, TOKEN_VARIABLE, WRONG, AsJson, Plaintext, TimeoutS, TlsCa, ca, code_of

DEFAULT_LOG = Path(".liftgate/log")


def register(app: typer.Typer) -> None:
    """Add `explain` to the app."""
    app.command("explain")(explain)


def explain(
    decision_id: Annotated[str, typer.Argument(metavar="DECISION_ID", help="32 hexadecimal digits, as Decide answered them.")],
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="DIR",
            envvar="LIFTGATE_LOG",
            help=f"The log's directory, as `liftgate serve --log DIR` got it; default {DEFAULT_LOG}.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="HOST:PORT", help="Ask this service for a decision of its own log instead of reading one."),
    ] = None,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say why a decision came out as it did: for every candidate which rule let it pass or stopped it, and what it saw.

    Needs the log's directory and nothing else: no server, no Redis, and neither the bundle's folder nor its models, which may be long gone.
    What the log keeps of each bundle lies in DIR/bundles. Reads open and sealed segments and Parquet, also while a server writes; the time
    in the id says where to look. With --target a service is asked, as an operator (token in LIFTGATE_TOKEN) where it knows operators.

    Shows offers with their rules as they were written (file and line), the factors of their worth and how much each had to do with the
    ranking, the probabilities and the draw of each slot, the person's groups, consent for each purpose, the inputs with their ages, the
    bundle's digest and the models' SHA-256. It shows no id of a person; it does show what was known about them: keep it accordingly.

    Exit codes: 0 explained, 1 the log cannot be read, or no answer, 2 the command was wrong or refused, or the decision is not there.

    Example: liftgate explain 019b76c0f3a17c0e8d4f5a6b7c8d9e0f --log .liftgate/log

    Example: liftgate explain 019b76c0f3a17c0e8d4f5a6b7c8d9e0f --log .liftgate/log --json | jq '.candidates[] | {offer_id, rule, text}'

    Example: liftgate explain 019b76c0f3a17c0e8d4f5a6b7c8d9e0f --target 127.0.0.1:7420
    """
    from liftgate.record.find import is_decision_id

    decision_id = decision_id.strip().lower().replace("-", "")
    if not is_decision_id(decision_id):
        fail("DECISION_ID wants 32 hexadecimal digits, as Decide answered them", WRONG, as_json)
    if target is not None:
        data = _from_service(target, decision_id, ca(tls_ca, as_json), plaintext, timeout_s, as_json)
    else:
        data = _from_log(log or DEFAULT_LOG, decision_id, as_json)
    if as_json:
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    from liftgate.app.cli.explain_print import show

    show(data)


def _from_service(target: str, decision_id: str, tls_ca: bytes | None, plaintext: bool, timeout_s: float, as_json: bool) -> Any:
    from liftgate.adapters.admin_client import CallFailed, WouldLeak
    from liftgate.adapters.operator_calls import DECISIONS, OperatorCalls

    # Whether a token is needed is the service's to say.
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        with OperatorCalls(target, token, tls_ca=tls_ca, plaintext=plaintext or not token, timeout_s=timeout_s) as calls:
            return calls.ask(DECISIONS, "Explain", {"decision_id": decision_id})["explanation"]
    except (CallFailed, WouldLeak) as err:
        fail(str(err), code_of(err), as_json)


def _from_log(log: Path, decision_id: str, as_json: bool) -> Any:
    from liftgate.adapters.explanation_from_log import LogExplanations
    from liftgate.client.plain import plain

    if not log.is_dir():
        fail(f"there is no folder {log}: give --log DIR, the log's directory, or --target HOST:PORT, a running service", WRONG, as_json)
    parquet = _can_read_parquet()
    try:
        explanation = LogExplanations(log, parquet=parquet).explain(decision_id)
    except Exception as err:
        # pyarrow has errors of its own for damaged files, and is not imported where there are none.
        fail(f"the log cannot be read: {err}; `liftgate log verify {log}` says which file", FAILED, as_json)
    if explanation is None:
        fail(_nowhere(log, decision_id, parquet), WRONG, as_json)
    return plain(explanation)


def _can_read_parquet() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


def _nowhere(log: Path, decision_id: str, parquet: bool) -> str:
    words = f"no decision in {log} has the id {decision_id}"
    if not parquet and any(log.glob("*.parquet")):
        return f"{words}; its Parquet files were not read, for that needs pyarrow: pip install 'liftgate[offline]'"
    if not any(path.suffix in (".seg", ".open", ".parquet") for path in log.iterdir()):
        return f"{words}: it holds no log. Is it the DIR of `liftgate serve --log DIR`?"
    return words
