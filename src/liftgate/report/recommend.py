"""What to do next, by rule, with the numbers behind each: fix data, stop, keep running until N, ship, retrain, look, test."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.report.shown import Content, Fact
from liftgate.report.verdict import Said, between, primary, styles

WAIT = frozenset({"open_windows", "too_few_events", "too_few_units", "peeking"})
"""Refusals that time heals; all others want somebody to look at the data or at the question."""


def recommendations(facts: Fact) -> list[Said]:
    """Return them, the most urgent first."""
    found = [*_data(facts), *_headline(facts), *_layers(facts), *_models(facts), *_policy(facts), *_funnel(facts), *_hypotheses(facts)]
    order = ("fix_data", "stop", "ship", "keep_running", "retrain", "look", "test")
    return sorted(found, key=lambda one: order.index(one.level))


def _data(facts: Fact) -> Iterator[Said]:
    answers = facts["answers"]
    seen: set[str] = set()
    for name in ("quality", "srm", "lift", "decisions"):
        answer = answers.get(name)
        refusal = None if answer is None else answer.get("refusal")
        if refusal is not None and refusal["code"].value not in seen:
            seen.add(refusal["code"].value)
            wait = refusal["code"].value in WAIT
            what = ["Keep it running, and read again." if wait else "Fix the data before anything is read."]
            yield Said("keep_running" if wait else "fix_data", what, _why(refusal))
    for words in answers["quality"]["warnings"].each() if answers["quality"].get("warnings") else ():
        yield Said("look", "Look at the log.", [words.show(), "."])


def _headline(facts: Fact) -> Iterator[Said]:
    answers = facts["answers"]
    sequence = answers["sequential"]
    if sequence.get("refusal") is not None or answers["quality"].get("refusal") is not None:
        return
    if answers.get("srm") is not None and answers["srm"].get("refusal") is not None:
        return
    difference = styles(primary(answers["lift"])[0])[1] if primary(answers["lift"]) else "signed"
    for one in sequence["comparisons"].each():
        arm = one["arm"].show()
        n: Content = [[" and " if i else "", each.show("count"), " units in ", each.name] for i, each in enumerate(one["n"].each())]
        interval: Content = ["the interval that holds at every look is ", between(one["ci_low"], one["ci_high"], difference), " (", n, ")."]
        if one["may_stop"].value and one["still_excludes_zero"].value:
            up = one["ci_low"].value > 0
            words: Content = ["Ship ", arm, ", and keep the control: it goes on measuring."] if up else ["Stop ", arm, ": it does harm."]
            yield Said("ship" if up else "stop", words, ["It may stop: ", interval])
        elif one["past_n_star"].value:
            planned = sequence["n_star"].show("count")
            yield Said("stop", ["End the test of ", arm, ": no effect shows."], ["The planned ", planned, " units are in; ", interval])
        else:
            words = ["Keep ", arm, " running until ", sequence["n_star"].show("count"), " units are in."]
            yield Said("keep_running", words, ["No effect shows yet: ", interval])


def _layers(facts: Fact) -> Iterator[Said]:
    said = {one.value["refusal"]["code"] for one in map(facts["answers"].__getitem__, ("quality", "lift")) if one.get("refusal")}
    for layer in facts["layers"].each():
        answer = facts["answers"][f"layer {layer['layer'].value}"]
        name = layer["layer"].show()
        results = primary(answer)
        if not results:
            refusal = answer["refusal"]
            if refusal["code"].value in said:
                continue
            wait = refusal["code"].value in WAIT
            what: Content = ["Keep ", name, " running."] if wait else [name, ": nothing can be said of it."]
            yield Said("keep_running" if wait else "look", what, _why(refusal))
        for one in results:
            yield _arm(facts, layer, one)


def _arm(facts: Fact, layer: Fact, one: Fact) -> Said:
    name, arm = layer["layer"].show(), one["arm"].show()
    if (refusal := one.get("refusal")) is not None:
        wait = refusal["code"].value in WAIT
        return Said("keep_running" if wait else "look", ["Keep ", arm, " of ", name, " running."], [refusal["why"].show(), "."])
    difference = styles(one)[1]
    n: Content = [[" and " if i else "", each.show("count"), " in ", each.name] for i, each in enumerate(one["n"].each())]
    size: Content = [
        one["metric"].show(),
        " differs by ",
        one["estimate"].show(difference),
        " (",
        between(one["ci_low"], one["ci_high"], difference),
        "; ",
    ]
    size = [size, n, "; p, corrected, ", one["p_adjusted"].show("p"), ")."]
    if sum(each.value for each in one["n"].each()) < facts["n_star"].value:
        words: Content = ["Keep ", arm, " of ", name, " running until ", facts["n_star"].show("count"), " units are in."]
        return Said("keep_running", words, ["An interval that is read early finds effects that are not there. So far ", size])
    if not one["significant"].value:
        return Said("look", [arm, " of ", name, " makes no difference that shows: the simpler one will do."], ["By now ", size])
    up = one["estimate"].value > 0
    if layer["kind"].value == "ablation":
        what: Content = (
            ["Leave out what ", arm, " of ", name, " leaves out."] if up else ["Keep what ", arm, " of ", name, " leaves out: it earns."]
        )
        return Said("ship" if not up else "look", what, ["Without it ", size])
    return Said("ship" if up else "stop", ["Ship " if up else "Stop ", arm, " of ", name, "."], ["There ", size])


def _models(facts: Fact) -> Iterator[Said]:
    answers = facts["answers"]
    fair = answers["calibration_explored"]
    judged = fair if fair.get("refusal") is None else answers["calibration"]
    if judged.get("refusal") is None and not judged["calibrated"].value:
        drawn = " (judged on explored decisions, which no score picked)" if judged is fair else ""
        yield Said("retrain", ["Recalibrate or train the models again", drawn, "."], [judged["verdict"].show()])
    drift = answers["drift"]
    if drift.get("refusal") is None and any(one["level"].value == "alarm" for one in drift["columns"].each()):
        yield Said("look", "Look at what has moved.", [drift["why"].show(), "."])


def _policy(facts: Fact) -> Iterator[Said]:
    answers = facts["answers"]
    off, made = answers["off_policy"], answers["decisions"]
    if made.get("refusal") is None and not made["explored"].value:
        yield Said(
            "look",
            "Explore a little: nothing can be learned of offers that are never drawn.",
            ["Explored decisions: ", made["explored"].show("count"), "."],
        )
    elif off.get("refusal") is not None and made.get("refusal") is None:
        yield Said("look", "The log cannot tell what another policy would have earned.", [off["refusal"]["why"].show(), "."])
    simulated = answers.get("simulated")
    if simulated is not None and simulated.get("refusal") is None:
        size: Content = ["The difference a decision is ", simulated["difference"].show("signed"), " ("]
        size = [size, between(simulated["difference_ci_low"], simulated["difference_ci_high"], "signed"), ")."]
        if simulated["difference_ci_low"].value > 0:
            yield Said("test", ["Test the simulated bundle in an experiment: it promises more."], size)
        elif simulated["difference_ci_high"].value < 0:
            yield Said("stop", "Do not ship the simulated bundle: it would have earned less.", size)
        else:
            yield Said("look", "The simulated bundle would have earned no less and no more that shows.", size)


def _funnel(facts: Fact) -> Iterator[Said]:
    funnel = facts["answers"]["funnel"]
    if funnel.get("refusal") is not None:
        return
    for one in funnel["funnels"].each():
        if one["segment"].value is None and one["arm"].value != funnel["control"].value:
            for first in one["bottlenecks"].each():
                if first["rank"].value == 1:
                    kept: Content = ["Keeping ", first["recovered_share"].show("round_share"), " of the ", first["lost"].show("count")]
                    kept = [
                        kept,
                        " lost there would bring ",
                        first["extra_at_end"].show("count"),
                        " more to the end. A ranking, no promise.",
                    ]
                    yield Said("look", ["Look first at the way to ", first["step"].show(), " (", one["arm"].show(), ")."], kept)


def _hypotheses(facts: Fact) -> Iterator[Said]:
    backlog = facts["answers"].get("hypotheses")
    if backlog is None or backlog.get("refusal") is not None:
        return
    for one in backlog["hypotheses"].each():
        if one["measured"].value is None and one["experiment_id"].value is None:
            ice = one["scores"].get("ice_product")
            score: Content = [
                "" if ice is None else ["ICE ", ice.show("count"), "; "],
                "expected lift ",
                one["expected_lift"].show("percent"),
                ".",
            ]
            yield Said("test", ["Test next: ", one["what"].show(), "."], score)
            return


def _why(refusal: Fact) -> Content:
    return [refusal["why"].show(), ". What to do: ", refusal["what_to_do"].show(), "."]
