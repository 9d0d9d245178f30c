"""`liftgate review`: what is sensitive, who has approved it, and what exactly they approved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from liftgate.app.cli.asking import Asking
from liftgate.app.cli.say import fail
from liftgate.app.cli.target import DEFAULT_TARGET, AsJson, Plaintext, Target, TimeoutS, TlsCa

_HELP = """Approve what is sensitive before anybody sees it: four-eyes review, bound to exactly what was reviewed.

An offer marked `sensitive` in the bundle (or too dear, or reaching too many) is shown only while an approval stands. The approval is
bound to a digest of everything that decides who gets it, when, how often and what they get: any edit voids it. Who submitted it can
never approve it.

\b
  submit       its author hands it in
  list, show   what waits for whom; what it is, and what changed
  approve, reject, withdraw
  break-glass  show it for up to 24 h without approval; somebody else
               must look at it afterwards
  list --decisions
               single people to be decided about, by id (d-...)

Every command needs an operator's token in LIFTGATE_TOKEN. Exit codes: 0 done, 1 the service did not answer, 2 it refused and says why.

Example: liftgate review list
"""
_WRONG, _BAD_BUNDLE = 2, 1

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

ReviewId = Annotated[str, typer.Argument(metavar="ID", help="The item's id as `review list` shows it; 8 digits of it are enough.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit chain.")]


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also what is neither in force nor waiting for anybody.")] = False,
    decisions: Annotated[bool, typer.Option("--decisions", help="Single decisions that wait for a verdict instead, oldest first.")] = False,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """List what waits for a reviewer, and every sensitive offer of the bundle in force.

    With --decisions: single decisions of offers that say `review_each_decision`; approve or reject them by their id (d-...).

    Example: liftgate review list --all --json
    """
    answer = Asking(target, tls_ca, plaintext, timeout_s, as_json).ask("reviews", "List", all=everything, decisions=decisions)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from liftgate.app.cli.review_print import show_list

    show_list(answer["items"], "No decision waits for a verdict." if decisions else "Nothing is sensitive, and nothing waits for review.")


@app.command("show")
def show(
    review_id: ReviewId,
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say in words what is reviewed, who did what about it, and what changed against what was approved before.

    Example: liftgate review show 4f0c2a91
    """
    answer = Asking(target, tls_ca, plaintext, timeout_s, as_json).ask("reviews", "Get", review_id=review_id)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from liftgate.app.cli.review_print import show_item

    show_item(answer)


@app.command("submit")
def submit(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The bundle's folder.")],
    models: Annotated[Path | None, typer.Option("--models", metavar="DIR", help="Folder of models, as for `bundle check`.")] = None,
    offer: Annotated[list[str] | None, typer.Option("--offer", help="Only this offer; may be repeated.")] = None,
    reason: Reason = "",
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Hand in every sensitive offer of a bundle for review. Whoever submits is its author and cannot approve it.

    The bundle need not be in force: submit and approve first, reload afterwards, and no decision goes without the offer.

    Exit codes: 0 handed in, 1 the bundle has mistakes or nobody answered, 2 refused, or the bundle has nothing sensitive.

    Example: liftgate review submit my-bundle --reason "autumn rates"
    """
    from liftgate.bundle.load import check_bundle

    checked = check_bundle(directory, models)
    if checked.bundle is None:
        fail("the bundle has mistakes:\n" + "\n".join(f"  {mistake}" for mistake in checked.mistakes), _BAD_BUNDLE, as_json)
    wanted = {f"offer/{name}" for name in offer or ()}
    found = [review for review in checked.bundle.reviews.values() if not wanted or review.subject in wanted]
    missing = sorted(wanted - {review.subject for review in found})
    if missing or not found:
        words = f"{', '.join(missing)}: no sensitive offer of this bundle" if missing else "nothing in this bundle is sensitive"
        fail(f"{words}; `sensitive:` marks what must be reviewed", _WRONG, as_json)
    texts = [{"text": review.text.decode(), "source": review.source} for review in found]
    answer = Asking(target, tls_ca, plaintext, timeout_s, as_json).ask("reviews", "Submit", submissions=texts, reason=reason)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from liftgate.app.cli.review_print import show_list

    show_list(answer["items"])


@app.command("approve")
def approve(
    review_id: ReviewId,
    reason: Reason = "",
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say yes to exactly what `show` shows, or to showing one person an offer (ids d-...).

    Needs a role that the item names; its authors cannot.

    For something stopped, an approval starts it again, at once and everywhere.

    Example: liftgate review approve 4f0c2a91 --reason "rates checked"
    """
    _act("Approve", review_id, target, tls_ca, plaintext, timeout_s, as_json, reason=reason)


@app.command("reject")
def reject(
    review_id: ReviewId,
    reason: Reason = "",
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say no. Approvals fall, a break-glass ends, and the offer is not shown until it is submitted and approved again.

    Example: liftgate review reject 4f0c2a91 --reason "no interest rate in the text"
    """
    _act("Reject", review_id, target, tls_ca, plaintext, timeout_s, as_json, reason=reason)


@app.command("withdraw")
def withdraw(
    review_id: ReviewId,
    reason: Reason = "",
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Take all approvals back, or the submission: reviewers and authors may. A break-glass ends with it.

    With the whole id d-... of a single decision: take back what was said of it; the next decision for the person asks again.

    Example: liftgate review withdraw 4f0c2a91 --reason "campaign postponed"
    """
    _act("Withdraw", review_id, target, tls_ca, plaintext, timeout_s, as_json, reason=reason)


@app.command("break-glass")
def break_glass(
    review_id: ReviewId,
    hours: Annotated[float, typer.Option("--hours", min=0.001, max=24.0, help="For how long, at most 24.")],
    reason: Reason = "",
    target: Target = DEFAULT_TARGET,
    tls_ca: TlsCa = None,
    plaintext: Plaintext = False,
    timeout_s: TimeoutS = 10.0,
    as_json: AsJson = False,
) -> None:
    """Serve an offer for a while without its approvals, alone. Needs every role that the item names, and a reason.

    It stays on the list until another person approves, rejects or withdraws it, also when the time is over; until then nobody can do it
    again.

    Example: liftgate review break-glass 4f0c2a91 --hours 2 --reason "flood relief must go out tonight; compliance is asleep"
    """
    _act("BreakGlass", review_id, target, tls_ca, plaintext, timeout_s, as_json, reason=reason, for_ms=round(hours * 3_600_000))


def _act(
    method: str, review_id: str, target: str, tls_ca: Path | None, plaintext: bool, timeout_s: float, as_json: bool, **request: Any
) -> None:
    if method != "Approve" and not request["reason"].strip():
        fail("--reason is needed: say why; it is kept in the audit chain", _WRONG, as_json)
    answer = Asking(target, tls_ca, plaintext, timeout_s, as_json).ask("reviews", method, review_id=review_id, **request)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from liftgate.app.cli.review_print import show_list

    show_list([answer["item"]])
