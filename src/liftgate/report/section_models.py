"""Whether scores hold, and what the log can say of other policies."""

from __future__ import annotations

from liftgate.report.picture import against
from liftgate.report.section_head import chapter, command, more, refused
from liftgate.report.shown import Content, Fact, Html, table, tag, written

_ACTIONS = 15


def calibration_section(facts: Fact) -> Html:
    """Return what was foretold against what came, of explored decisions and of all."""
    shown: list[Content] = [
        tag(
            "p",
            "A score is a probability: of those who got one of a tenth, a tenth should do it. Explored decisions judge it fairly; "
            "in all of them the offers are those that scored high, and what is picked for a high score is picked for its errors, too.",
        )
    ]
    halves: list[Content] = []
    for name, words in (("calibration_explored", "Explored decisions"), ("calibration", "All decisions with an offer")):
        answer = facts["answers"][name]
        halves.append(tag("div", tag("h3", words), refused(answer, facts) or _calibrated(answer), command(facts, name)))
    return chapter("calibration", "Do the scores say what happens?", *shown, tag("div", halves, class_="pair"))


def _calibrated(answer: Fact) -> Content:
    seen = answer["measures"]
    bins = list(seen["bins_quantile"].each())
    points = [(one["mean_score"].value, one["rate"].value, one["n"].value) for one in bins]
    most = 1.08 * max(max(one[0], one[1]) for one in points)
    title = f"What was foretold against what came, in {len(points)} groups; on the dashed line both are alike"
    top = tag("span", written(most, "round_share"), class_="tick")
    picture = tag(
        "div",
        tag("div", top, tag("span", "came"), class_="side", aria_hidden="true"),
        against(points, most, title),
        tag("div", tag("span", "foretold"), tag("span", written(most, "round_share"), class_="tick"), class_="below", aria_hidden="true"),
        class_="chart square",
    )
    rows = [
        [
            [one["low"].show("share"), " to ", one["high"].show("share")],
            *(one[key].show(style) for key, style in (("n", "count"), ("mean_score", "share"), ("rate", "share"))),
        ]
        for one in bins
    ]
    ratio: Content = [
        answer["estimate"].show("number"),
        " (",
        answer["ci_low"].show("number"),
        " to ",
        answer["ci_high"].show("number"),
        ")",
    ]
    measures: list[list[Content]] = [
        ["observed / expected", ratio, "one is right"],
        ["error (ECE, by quantile)", seen["ece_quantile"].show("number"), [seen["ece_quantile_by_chance"].show("number"), " by chance"]],
        ["Brier", seen["brier"]["estimate"].show("number"), [seen["brier_by_chance"].show("number"), " if calibrated"]],
    ]
    if seen["slope"].value is not None:
        measures.insert(1, ["slope", seen["slope"]["estimate"].show("number"), "one is right"])
    inside = [
        table("Measures", ["measure", "value", "beside it"], measures),
        table("By score", ["score", "decisions", "foretold", "came"], rows),
    ]
    return [tag("p", tag("strong", answer["verdict"].show())), picture, more("The numbers", *inside)]


def policy_section(facts: Fact) -> Html:
    """Return what was explored, what an even draw would have earned, and what was simulated."""
    answers = facts["answers"]
    made, off, simulated = answers["decisions"], answers["off_policy"], answers.get("simulated")
    shown: list[Content] = []
    if (no := refused(made, facts)) is not None:
        shown.append(no)
    else:
        words: Content = [
            made["explored"].show("count"),
            " of ",
            made["rows"].show("count"),
            " offers (",
            made["explored_share"].show("share"),
        ]
        shown.append(tag("p", words, ") were drawn by exploration: what the log can say of other policies rests on these."))
        shown += [tag("h3", "An even draw among the allowed offers"), refused(off) or _valued(off), _weights(off)]
        shown.append(command(facts, "off_policy"))
    shown.append(tag("h3", "Simulated bundle"))
    if simulated is None:
        shown.append(tag("p", "None was given. Run liftgate simulate with --json, and give its answer with --simulated FILE."))
    else:
        shown.append(refused(simulated) or [_valued(simulated), _weights(simulated)])
    return chapter("policies", "What would another policy have earned?", *shown)


def _valued(answer: Fact) -> Content:
    rows: list[list[Content]] = [["as it was", answer["on_log"]["estimate"].show("number"), ""]]
    for words, key in (("under the other policy", ""), ("difference", "difference")):
        low, high = (answer[f"{key}_{end}" if key else end] for end in ("ci_low", "ci_high"))
        rows.append(
            [words, answer[key or "estimate"].show("signed" if key else "number"), [low.show("signed"), " to ", high.show("signed")]]
        )
    return [
        table("First metric a decision", ["policy", "estimate", "95 % interval"], rows),
        [tag("p", "Mind: ", one.show(), ".", class_="small soft") for one in answer["warnings"].each()],
    ]


def _weights(answer: Fact) -> Content:
    seen = answer.get("diagnostics")
    if seen is None:
        return None
    rows: list[list[Content]] = [
        ["decisions", seen["n"].show("count"), ""],
        ["effective decisions", seen["ess"].show("count"), seen["ess_share"].show("share")],
        ["mean weight", seen["mean_weight"].show("number"), "should be one"],
        ["largest weight", seen["max_weight"].show("number"), ""],
        ["share of the weight in the heaviest hundredth", seen["top_1_percent_share"].show("share"), ""],
    ]
    actions = answer["actions"] if answer.get("actions") else None
    support: Content = None
    if actions is not None:
        parts = [
            [one["action"].show(), one["n"].show("count"), one["logged_share"].show("share"), one["target_share"].show("share")]
            for one in list(actions.each())[:_ACTIONS]
        ]
        support = table("Support by offer", ["offer", "decisions", "in the log", "under the other policy"], parts)
    return more("Weights and support", table("Weights", ["weight", "value", "beside it"], rows), support)
