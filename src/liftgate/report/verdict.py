"""The verdict in plain words, by rule: from the answers to a level, a headline and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from html import unescape
from re import findall, sub
from typing import Any, Literal

from liftgate.report.shown import Content, Fact, Html, join

Level = Literal["good", "bad", "unclear", "refused"]


@dataclass(frozen=True, slots=True)
class Said:
    """A statement with its numbers in it."""

    level: str
    """Of a verdict a Level; of a recommendation fix_data, stop, ship, end (no effect shows), keep_running, retrain, look or test."""
    what: Content
    why: Content

    def as_json(self) -> dict[str, Any]:
        """Return it as plain texts, and where in the facts its numbers stand."""
        whole = join(self.what, self.why)
        return {
            "level": self.level,
            "what": _plain(join(self.what)),
            "why": _plain(join(self.why)),
            "evidence": list(dict.fromkeys(unescape(one) for one in findall(r'data-at="([^"]*)"', whole))),
        }


def _plain(words: Html) -> str:
    return unescape(sub("<[^>]*>", "", words))


def primary(lift: Fact) -> list[Fact]:
    """Return the results that decide: of the first metric, over everybody assigned, one an arm."""
    results = lift.get("results")
    whole = [] if results is None else [one for one in results.each() if one["analysis"].value == "itt" and one["segment"].value is None]
    return [one for one in whole if one["metric"].value == whole[0]["metric"].value]


def styles(result: Fact) -> tuple[str, str]:
    """Return how a result's means and its difference are written."""
    return ("share", "points") if result["kind"].value == "binary" else ("number", "signed")


def between(low: Fact, high: Fact, style: str) -> Content:
    """Return an interval in words; an open end is said to be open."""
    ends = [one.show(style) if one.value is not None else Html("unbounded") for one in (low, high)]
    return [ends[0], " to ", ends[1]]


ARMS = {
    "treatment": "people for whom offers are chosen",
    "holdout": "people drawn by lot who go without, for comparison",
    "control": "the usual way, for comparison",
}
"""What usual names of arms mean."""
DATA = frozenset(
    {
        "log_gaps", "sample_ratio_mismatch", "mixed_keys", "mixed_versions", "changed_allocation", "unit_in_two_groups", "missing_key",
        "not_a_number", "missing_control", "stratum_without_arm",
    }
)  # fmt: skip
"""Refusals of an effect that say that the data are not sound."""


def verdict(facts: Fact) -> Said:
    """Return what the log says about the headline's first metric."""
    answers = facts["answers"]
    for name, words in (("quality", "the log is not whole"), ("srm", "the split is not the planned one"), ("lift", "")):
        answer = answers.get(name)
        if answer is not None and (refusal := answer.get("refusal")) is not None and not (name == "lift" and _answered(answer)):
            said = words or ("the data are not sound" if refusal["code"].value in DATA else "")
            return Said(
                "refused", ["No verdict" + (f": {said}" if said else " yet"), "."], ["Why: ", ended(refusal["why"]), " ", _mend(refusal)]
            )
    result = decisive(answers)
    if (refusal := result.get("refusal")) is not None:
        return Said("refused", "No verdict yet.", ["Why: ", ended(refusal["why"]), " ", _mend(refusal)])
    return _said(answers, result)


def ended(words: Fact) -> Content:
    """Return a text with a full stop, unless it has one."""
    return [words.show(), "" if str(words.value).endswith(".") else "."]


def state_of(sequence: Fact | None, arm: str) -> str:
    """Return where an arm stands by its sequence: up or down (may stop, zero still left out), faded, none (past N*), running, or ""."""
    one = sequence["comparisons"].get(arm) if sequence is not None and sequence.get("comparisons") is not None else None
    if one is None:
        return ""
    if one["may_stop"].value:
        return ("up" if one["ci_low"].value > 0 else "down") if one["still_excludes_zero"].value else "faded"
    return "none" if one["past_n_star"].value else "running"


def decisive(answers: Fact) -> Fact:
    """Return the result of the arm that the verdict is about: one that works, the best of them; else one that may; else one that harms."""
    order = {"up": 0, "faded": 1, "running": 2, "none": 3, "": 4, "down": 5}
    told = [one for one in primary(answers["lift"]) if one.get("refusal") is None] or primary(answers["lift"])
    return min(told, key=lambda one: (order[state_of(answers["sequential"], one["arm"].value)], -(one["estimate"].value or 0.0)))


def _answered(answer: Fact) -> bool:
    return any(one.get("refusal") is None for one in primary(answer))


def _mend(refusal: Fact) -> Content:
    return ["What to do: ", ended(refusal["what_to_do"])]


def _said(answers: Fact, result: Fact) -> Said:
    metric, arm, control = result["metric"].show(), result["arm"], result["control"]
    mean, difference = styles(result)
    counts: list[Content] = [
        ["In ", arm.show(), " it is ", result["mean"][arm.value].show(mean), ", in ", control.show()],
        [" ", result["mean"][control.value].show(mean), ": a difference of ", result["estimate"].show(difference)],
        [" (95 % interval ", between(result["ci_low"], result["ci_high"], difference), ")."],
    ]
    state, sequence = state_of(answers["sequential"], arm.value), answers["sequential"]
    several = len(primary(answers["lift"])) > 1
    if not state:
        return Said("unclear", ["Read with care: how ", metric, " moved could not be followed over time."], counts)
    one, planned = sequence["comparisons"][arm.value], sequence["n_star"].show("count")
    if state in ("up", "down"):
        size: Content = [" ", result["lift"].show("size")] if result["lift_bounded"].value else ""
        words: Content = [
            "It works: " if state == "up" else "It does harm: ",
            metric,
            " is",
            size,
            " higher" if state == "up" else " lower",
        ]
        words = [
            words,
            " in ",
            arm.show(),
            " than in ",
            control.show(),
            ", the best of several arms." if several and state == "up" else ".",
        ]
        counts.append([" The interval that holds at every look has left zero out since ", one["may_stop_since"].show(), "."])
        return Said("good" if state == "up" else "bad", words, counts)
    if state == "faded":
        counts.append([" It had left zero out at ", one["may_stop_since"].show(), ", and holds it again now: expect a small effect."])
        return Said("unclear", ["Probably a small effect: ", metric, " in ", arm.show(), " against ", control.show(), "."], counts)
    if state == "none":
        counts.append([" All ", planned, " planned units are in."])
        return Said("unclear", ["No effect shown on ", metric, ": the planned number of people is reached."], counts)
    counts.append([" Planned are ", planned, " units; the interval that holds at every look has zero in it."])
    return Said("unclear", ["Not known yet: no effect on ", metric, " shows so far."], counts)
