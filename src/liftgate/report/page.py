"""The page: one file that loads nothing, runs nothing, and holds the facts that it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from liftgate.report.recommend import recommendations
from liftgate.report.section_drift import drift_section
from liftgate.report.section_effect import lift_section, segment_section, time_section
from liftgate.report.section_head import command, more, quality_section, todo_section, verdict_section
from liftgate.report.section_ladder import ladder_section
from liftgate.report.section_models import calibration_section, policy_section
from liftgate.report.section_parts import funnel_section
from liftgate.report.section_plan import hypotheses_section, setup_section
from liftgate.report.shown import Fact, Html, tag
from liftgate.report.verdict import verdict

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_CHAPTERS = (
    ("verdict", "Verdict"),
    ("data", "Data"),
    ("todo", "Recommendations"),
    ("lift", "Effect"),
    ("time", "Over time"),
    ("funnel", "Funnel"),
    ("ladder", "Parts"),
    ("segments", "Segments"),
    ("calibration", "Scores"),
    ("drift", "Drift"),
    ("policies", "Policies"),
    ("setup", "Setup"),
    ("hypotheses", "Hypotheses"),
)


def told(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with the verdict and the recommendations that follow from them."""
    fact = Fact(facts)
    said = [one.as_json() for one in recommendations(fact)]
    return facts | {"verdict": verdict(fact).as_json(), "recommendations": said}


def render(facts: dict[str, Any]) -> str:
    """Return the page of facts that `told` has been through, as HTML."""
    fact = Fact(facts)
    sections = (
        verdict_section(fact),
        quality_section(fact),
        todo_section(fact),
        lift_section(fact),
        time_section(fact),
        funnel_section(fact),
        ladder_section(fact),
        segment_section(fact),
        calibration_section(fact),
        drift_section(fact),
        policy_section(fact),
        setup_section(fact),
        hypotheses_section(fact),
    )
    # A data block is not run; "<" is written so that no text in it can end it.
    data = Html(json.dumps(facts, allow_nan=False).replace("<", "\\u003c"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", f"Liftgate report: {facts['metrics'][0]}"),
        tag("style", Html(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))),
    )
    nav = tag("nav", tag("ul", [tag("li", tag("a", words, href=f"#{name}")) for name, words in _CHAPTERS]), aria_label="Chapters")
    body = tag(
        "body",
        tag("header", tag("h1", "What the offers were worth"), _subtitle(fact), nav),
        tag("main", *sections),
        tag("footer", _footer(fact)),
        tag("script", data, type="application/json", id="facts"),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _subtitle(fact: Fact) -> Html:
    versions = fact["answers"]["quality"].get("versions")
    first_last = None
    if versions is not None and versions.value:
        first_last = [
            ", decided from ",
            versions[0]["first_ms"].show("when"),
            " to ",
            versions[len(versions.value) - 1]["last_ms"].show("when"),
        ]
    return tag("p", "From the decision log ", tag("code", fact["log"].show()), first_last, ".", class_="soft")


def _footer(fact: Fact) -> Html:
    words = (
        "Every number on this page is a number in the JSON of the command that is named beside it; all of them are in this file, too. "
        "Tables of people and of decisions that the commands name are kept by --keep."
    )
    tables = more("The commands that make the tables", command(fact, "table"), command(fact, "decisions"))
    return tag("div", tag("p", words, class_="small soft"), tables)
