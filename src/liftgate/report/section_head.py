"""What is read first: the verdict, whether the data can carry it, and what to do."""

from __future__ import annotations

from liftgate.report.shown import Content, Fact, Html, join, table, tag
from liftgate.report.verdict import ARMS, DATA, decisive, ended, primary, styles

DO = {
    "fix_data": "fix the data",
    "stop": "stop",
    "ship": "ship",
    "end": "stop",
    "keep_running": "keep running",
    "retrain": "train again",
    "look": "look at",
    "test": "test next",
}


def refused(answer: Fact, facts: Fact | None = None) -> Html | None:
    """Return why an answer is not given, None where it is. With the facts: in short, where the chapter on data says it at length."""
    refusal = answer.get("refusal")
    if refusal is None:
        return None
    if facts is not None and refusal["code"].value in [one["refusal"]["code"].value for one in _unsound(facts)]:
        words: Content = [tag("strong", "Refused"), " (", refusal["code"].show(), "), as said under ", tag("a", "data", href="#data"), "."]
        return tag("div", tag("p", words), class_="refusal")
    words = [tag("strong", "Refused"), " (", refusal["code"].show(), "): ", ended(refusal["why"])]
    return tag("div", tag("p", words), tag("p", "What to do: ", ended(refusal["what_to_do"])), class_="refusal")


def _unsound(facts: Fact) -> list[Fact]:
    """Return the answers that say that the data cannot carry an answer, one a reason."""
    answers = facts["answers"]
    asked = [answers["quality"], answers.get("srm"), answers["table"]]
    found = {one["refusal"]["code"].value: one for one in reversed(asked) if one is not None and one.get("refusal") is not None}
    effect = answers["lift"].get("refusal")
    if effect is not None and effect["code"].value in DATA:
        found.setdefault(effect["code"].value, answers["lift"])
    return list(found.values())


def more(summary: Content, *content: Content) -> Html:
    """Return what an analyst digs into."""
    return tag("details", tag("summary", summary), *content)


def command(facts: Fact, name: str) -> Html | None:
    """Return the command whose JSON the numbers are."""
    found = facts["commands"].get(name)
    return None if found is None else more("The command that says this", tag("pre", tag("code", found.show(), " --json")))


def chapter(name: str, title: str, *content: Content, class_: str | None = None) -> Html:
    """Return a section with its heading."""
    return tag("section", tag("h2", title, id=f"h-{name}"), *content, id=name, aria_labelledby=f"h-{name}", class_=class_)


def verdict_section(facts: Fact) -> Html:
    """Return the verdict with its figures."""
    said = facts["verdict"]
    shown: Content = facts_of_verdict(facts)
    return chapter("verdict", "The verdict", shown, class_=f"banner {said['level'].value}")


def facts_of_verdict(facts: Fact) -> Content:
    """Return the words of the verdict with every number traced, and the figures that carry it."""
    from liftgate.report.verdict import verdict

    said = verdict(facts)
    boxes: Content = None
    results = primary(facts["answers"]["lift"])
    if said.level != "refused" and results:
        one = decisive(facts["answers"])
        mean, difference = styles(one)
        boxes = tag(
            "dl",
            _box([one["metric"].show(), " in ", one["arm"].show()], one["mean"][one["arm"].value].show(mean)),
            _box([one["metric"].show(), " in ", one["control"].show()], one["mean"][one["control"].value].show(mean)),
            _box("difference", one["estimate"].show(difference), [one["ci_low"].show(difference), " to ", one["ci_high"].show(difference)]),
            _box("relative lift", one["lift"].show("percent"), _lift_ends(one)),
            class_="figures",
        )
    arms = (
        [(name, ARMS[name]) for name in (results[0]["control"].value, *(each["arm"].value for each in results)) if name in ARMS]
        if results
        else []
    )
    meaning: Content = [[" ", tag("strong", name.capitalize()), f": {words}."] for name, words in arms]
    return [
        tag("p", tag("strong", said.what), class_="lede"),
        tag("p", said.why),
        boxes,
        tag("p", meaning, class_="small soft") if arms else None,
    ]


def _lift_ends(one: Fact) -> Content:
    if not one["lift_bounded"].value:
        return "unbounded: control is not clearly away from zero"
    return [one["lift_ci_low"].show("percent"), " to ", one["lift_ci_high"].show("percent")]


def _box(name: Content, value: Content, beside: Content = None) -> Html:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", beside) if beside else None))


def quality_section(facts: Fact) -> Html:
    """Return whether the data can carry an answer; red where they cannot."""
    answers = facts["answers"]
    quality, split = answers["quality"], answers.get("srm")
    reasons = _unsound(facts)
    warned = bool(quality.get("warnings") and quality["warnings"].value)
    level = "refused" if reasons else "mind" if warned else "good"
    words = {
        "refused": "The data cannot carry an answer as they are.",
        "mind": "The data can be read; mind what is said here.",
        "good": "The data are whole: nothing is missing, and the split is as planned.",
    }
    shown: list[Content] = [tag("p", tag("strong", words[level])), [refused(one) for one in reasons]]
    if quality.get("what"):
        shown.append([tag("p", "Mind: ", ended(one)) for one in quality["warnings"].each()])
        if "--stratum version" in str(facts["commands"]["lift"].value):
            shown.append(tag("p", "Effects on this page are compared within each bundle, so that a change of bundle is not taken for one."))
        shown.append(_counts(facts))
        shown.append(more("By arm, by bundle", _arms(quality), _versions(quality), command(facts, "quality")))
    if split is not None and split.get("refusal") is None:
        shown.append(more("The split", _split(split), command(facts, "srm")))
    return chapter("data", "Can the data be trusted?", *shown, class_=f"banner {level}")


def _counts(facts: Fact) -> Html:
    quality, made = facts["answers"]["quality"], facts["answers"]["table"]
    log = made.get("log")
    return tag(
        "dl",
        _box("decisions", quality["decisions"].show("count"), [quality["repeated_decisions"].show("count"), " there twice, counted once"]),
        _box("events", quality["events"].show("count"), [quality["repeated_events"].show("count"), " there twice, counted once"]),
        _box("records missing", quality["lost_records"].show("count")),
        None
        if log is None
        else _box("people read", log["people"].show("count"), [log["open_windows"].show("count"), " with an open window"]),
        class_="figures",
    )


def _arms(quality: Fact) -> Html:
    rows = [
        [one.name.lower(), *(one[key].show("count") for key in ("n", "offered", "exposed", "degraded"))] for one in quality["arms"].each()
    ]
    return table("Decisions by arm", ["arm", "decisions", "with an offer", "exposure reported", "degraded"], rows)


def _versions(quality: Fact) -> Html:
    rows = [
        [one["bundle_digest"].show("digest"), one["n"].show("count"), one["first_ms"].show("when"), one["last_ms"].show("when")]
        for one in quality["versions"].each()
    ]
    return table("Bundles that decided", ["bundle", "decisions", "first", "last"], rows)


def _split(split: Fact) -> Html:
    rows = [[one.name, one.show("count"), split["shares"][one.name].show("share")] for one in split["n"].each()]
    p: Content = [
        "p ",
        split["p_value"].show("p"),
        " (alarm below 0.001); e-value ",
        split["e_value"].show("number"),
        " (alarm above 1000)",
    ]
    return join(table("Units by arm", ["arm", "units", "planned share"], rows), tag("p", p, class_="small soft"))


def todo_section(facts: Fact) -> Html:
    """Return what to do, the most urgent first."""
    from liftgate.report.recommend import recommendations

    items = [
        tag("li", tag("span", DO[one.level], class_=f"do {one.level}"), tag("strong", one.what), " ", one.why)
        for one in recommendations(facts)
    ]
    return chapter(
        "todo", "Recommendations", tag("ol", items, class_="todo") if items else tag("p", "Nothing to do: everything is as it should be.")
    )
