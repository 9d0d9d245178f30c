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
    """Of a verdict a Level; of a recommendation what to do: fix_data, stop, keep_running, ship, retrain, look, test."""
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


def verdict(facts: Fact) -> Said:
    """Return what the log says about the headline's first metric."""
    answers = facts["answers"]
    for name, words in (("quality", "the log is not whole"), ("srm", "the split is not the planned one"), ("lift", "")):
        answer = answers.get(name)
        if answer is not None and (refusal := answer.get("refusal")) is not None and not (name == "lift" and _first(answer)):
            return Said(
                "refused", ["No verdict" + (f": {words}" if words else " yet"), "."], [_sentence(refusal["why"]), " ", _mend(refusal)]
            )
    results = primary(answers["lift"])
    result = results[0]
    if (refusal := result.get("refusal")) is not None:
        return Said("refused", "No verdict yet.", [_sentence(refusal["why"]), " ", _mend(refusal)])
    return _said(answers, result)


def _first(answer: Fact) -> bool:
    found = primary(answer)
    return bool(found) and found[0].get("refusal") is None


def _sentence(why: Fact) -> Content:
    return [why.show(), "."]


def _mend(refusal: Fact) -> Content:
    return ["What to do: ", refusal["what_to_do"].show(), "."]


def _said(answers: Fact, result: Fact) -> Said:
    metric, arm, control = result["metric"].show(), result["arm"], result["control"]
    mean, difference = styles(result)
    counts: list[Content] = [
        ["In ", arm.show(), " it is ", result["mean"][arm.value].show(mean), ", in ", control.show()],
        [" ", result["mean"][control.value].show(mean), ": a difference of ", result["estimate"].show(difference)],
        [" (95 % interval ", between(result["ci_low"], result["ci_high"], difference), ")."],
    ]
    follows = answers["sequential"]
    sequence = follows.get("comparisons") if follows.get("refusal") is None else None
    one = None if sequence is None else sequence.get(arm.value)
    if one is None:
        way = "unclear"
        words: Content = ["Read with care: how ", metric, " moved could not be followed over time."]
        return Said(way, words, counts)
    if one["may_stop"].value and one["still_excludes_zero"].value:
        up = one["ci_low"].value > 0
        size: Content = [" ", result["lift"].show("size")] if result["lift_bounded"].value else ""
        words = ["It works: " if up else "It does harm: ", metric, " is", size, " higher" if up else " lower"]
        words = [words, " in ", arm.show(), " than in ", control.show(), "."]
        counts.append([" The interval that holds at every look has left zero out since ", one["may_stop_since"].show(), "."])
        return Said("good" if up else "bad", words, counts)
    if one["may_stop"].value:
        counts.append([" It had left zero out at ", one["may_stop_since"].show(), ", and holds it again now: expect a small effect."])
        return Said("unclear", ["Probably a small effect: ", metric, " in ", arm.show(), " against ", control.show(), "."], counts)
    if one["past_n_star"].value:
        counts.append([" All ", answers["sequential"]["n_star"].show("count"), " planned units are in."])
        return Said("unclear", ["No effect shown on ", metric, ": the planned number of people is reached."], counts)
    counts.append(
        [" Planned are ", answers["sequential"]["n_star"].show("count"), " units; the interval that holds at every look has zero in it."]
    )
    return Said("unclear", ["Not known yet: no effect on ", metric, " shows so far."], counts)
