"""What `liftgate review` prints for people."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any

from liftgate.adapters.review_words import words
from liftgate.app.cli.asking import line, moment, said
from liftgate.bundle.phrases import HEADINGS

_COLOURS = {"APPROVED": "green", "BREAK_GLASS": "yellow", "PENDING": "yellow"}
_STATES = {
    "NOT_SUBMITTED": "not submitted, not shown",
    "PENDING": "waits for approval, not shown",
    "APPROVED": "approved",
    "REJECTED": "rejected, not shown",
    "WITHDRAWN": "withdrawn, not shown",
    "EXPIRED": "approval has run out, not shown",
    "BREAK_GLASS": "shown WITHOUT approval",
    "GLASS_OVER": "break-glass is over, not shown",
}
_DID = {
    "submit": "submitted it",
    "approve": "approved it",
    "reject": "rejected it",
    "withdraw": "withdrew it",
    "break_glass": "broke the glass",
}


_NEXT = {
    "NOT_SUBMITTED": "first its author hands it in: liftgate review submit DIR",
    "REJECTED": "first its author hands it in again: liftgate review submit DIR",
}
"""By state: what has to happen before anybody can approve it."""


def show_list(items: list[dict[str, Any]], empty: str = "Nothing is sensitive, and nothing waits for review.") -> None:
    """Print items, one paragraph each; `empty` where there are none."""
    if not items:
        line(empty)
    for item in items:
        _heading(item)
        for text in _needs(item):
            line(f"  {text}")


def show_item(answer: dict[str, Any]) -> None:
    """Print one item with its text, its history and what changed."""
    item = answer["item"]
    _heading(item)
    line()
    line("What is reviewed", bold=True)
    _show_words(answer["words"])
    line()
    if item["kind"] == "decision":
        for text in _needs(item):
            line(f"  {text}")
        line(f"  say so with: liftgate review approve {item['review_id'][:10]}, or reject with --reason")
        return
    line("Who did what", bold=True)
    for act in item["acts"]:
        until = f" until {moment(act['until_ms'])}" if act["until_ms"] else ""
        roles = f" ({', '.join(act['roles'])})" if act["roles"] else ""
        line(f"  {moment(act['at_ms'])}  {act['by']}{roles} {_DID.get(act['act'], act['act'])}{until}{said(act['reason'])}")
    if not item["acts"]:
        line("  nobody has done anything yet")
    for text in _needs(item):
        line(f"  {text}")
    line()
    _show_changes(answer)
    line(f"digest  {item['review_id']}", dim=True)


def _show_words(sentences: list[str]) -> None:
    """Print sentences as `bundle explain` does: those of one subject under its heading."""
    last = ""
    for sentence in sentences:
        heading, _, rest = sentence.partition(": ")
        if heading not in HEADINGS:
            line(f"  {sentence}")
            continue
        if heading != last:
            line(f"  {heading}", bold=True)
        last = heading
        line(f"    - {rest}")


def _heading(item: dict[str, Any]) -> None:
    state = item["state"]
    until = f" until {moment(item['until_ms'])}" if item["until_ms"] and item["kind"] != "start" else ""
    if state == "EXPIRED" and item["follow_up_open"]:
        state = "GLASS_OVER"
    words = "start again: " + _STATES.get(state, state).replace(", not shown", "") if item["kind"] == "start" else _STATES.get(state, state)
    shown_id = item["review_id"] if item["kind"] == "decision" else item["review_id"][:12]
    line(f"{shown_id}  {item['subject']}  {words}{until}", bold=True, fg=_COLOURS.get(state, "red"))
    if item["kind"] == "decision":
        line(
            f"  for the person {item['person_pseudonym'][:12]}, asked {moment(item['acts'][0]['at_ms'])} by decision {item['decision_id']}"
        )
        line(f"  {item['explanation']}")
    if item["kind"] == "offer":
        where = f"{item['source']}, " if item["source"] else ""
        line(f"  {where}bundle {item['bundle']}{'' if item['in_force'] else ', not in force on this server'}")


def _needs(item: dict[str, Any]) -> Iterator[str]:
    if item["follow_up_open"]:
        yield "FOLLOW-UP: the glass was broken; others must approve it in full, or one of them reject or withdraw it"
    for text in item["missing"]:
        yield f"needs {text}"
    step = _NEXT.get(item["state"]) if item["kind"] == "offer" else None
    if step:
        yield step
    if item["authors"] and item["missing"]:
        broke = any(act["act"] == "break_glass" for act in item["acts"])
        yield f"not by {', '.join(item['authors'])}, who submitted it{' or broke the glass' if broke else ''}"


def _show_changes(answer: dict[str, Any]) -> None:
    if answer["item"]["kind"] == "start":
        return
    if not answer["approved_text"]:
        line("Nothing about it was approved before.", dim=True)
        return
    line(f"What changed since {answer['approved_review_id'][:12]} was approved", bold=True)
    in_words = difference(words(answer["approved_text"].encode()), answer["words"], around=0)
    for text in (*in_words, "", "as stored", *difference(_pretty(answer["approved_text"]), _pretty(answer["text"]))):
        line(f"  {text}", fg={"+": "green", "-": "red"}.get(text[:1]))


def difference(before: list[str], after: list[str], around: int = 2) -> Iterator[str]:
    """Yield the lines of a diff between two texts under review, with so many unchanged lines around each change."""
    for text in list(difflib.unified_diff(before, after, lineterm="", n=around))[2:]:
        if around or not text.startswith("@@"):
            yield text


def _pretty(text: str) -> list[str]:
    try:
        return json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False).splitlines()
    except ValueError:
        return text.splitlines()
