"""What to do next, by rule, with the numbers behind each: fix data, stop, keep running until N, ship, retrain, look, test."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.report.ladder import PARTS
from liftgate.report.section_drift import newest_of
from liftgate.report.shown import Content, Fact
from liftgate.report.steps import named_step
from liftgate.report.verdict import DATA, Said, between, ended, primary, state_of, styles

WAIT = frozenset({"open_windows", "too_few_events", "too_few_units", "peeking"})
"""Refusals that time heals; all others want somebody to look at the data or at the question."""


def recommendations(facts: Fact) -> list[Said]:
    """Return them, the most urgent first."""
    data, layers = list(_data(facts)), list(_layers(facts))
    if any(one.level == "fix_data" for one in data):
        layers = [one for one in layers if one.level not in ("ship", "stop", "end")]  # nothing is decided by a log that is not sound
    found = [*data, *_headline(facts), *layers, *_models(facts), *_policy(facts), *_funnel(facts), *_hypotheses(facts)]
    order = ("fix_data", "stop", "ship", "end", "keep_running", "retrain", "look", "test")
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
    within = answers["lift"].get("refusal") is None and "--stratum version" in str(facts["commands"]["lift"].value)
    for words in answers["quality"]["warnings"].each() if answers["quality"].get("warnings") else ():
        if within and "bundles decided" in words.value:
            continue  # done: effects are compared within each
        yield Said("look", "Look at the log.", [words.show(), "."])


def _headline(facts: Fact) -> Iterator[Said]:
    answers = facts["answers"]
    sequence = answers["sequential"]
    if any(one is not None and one.get("refusal") is not None for one in (sequence, answers["quality"], answers.get("srm"))):
        return
    yield from _arms(sequence, primary(answers["lift"]), "", "experiment")
    if facts["n_star_from"].value == "nobody":
        words: Content = [
            facts["n_star"].show("count"),
            ", a constant, stands in. Write n_star into the layer, or into its hypothesis, before it starts.",
        ]
        yield Said("look", "Nobody froze N*, at which the answer is wanted.", words)


def _layers(facts: Fact) -> Iterator[Said]:
    said = {one.value["refusal"]["code"] for one in map(facts["answers"].__getitem__, ("quality", "lift")) if one.get("refusal")}
    for layer in facts["layers"].each():
        answer = facts["answers"][f"layer {layer['layer'].value}"]
        name, results = layer["layer"].show(), primary(answer)
        if (other := layer.get("hypothesis_n_star")) is not None:
            why: Content = ["The bundle froze ", layer["n_star"].show("count"), ", the hypothesis says ", other.show("count"), "."]
            yield Said("look", ["Bundle and hypothesis do not agree on N* of ", name, "."], why)
        if not results:
            refusal = answer["refusal"]
            if refusal["code"].value in said:
                continue
            level = "keep_running" if refusal["code"].value in WAIT else "fix_data" if refusal["code"].value in DATA else "look"
            what: Content = ["Keep ", name, " running."] if level == "keep_running" else [name, ": nothing can be said of it."]
            yield Said(level, what, _why(refusal))
            continue
        sequence = facts["answers"].get(f"sequential {layer['layer'].value}")
        if sequence is not None and sequence.get("refusal") is not None:
            yield Said("keep_running", ["Keep ", name, " running."], _why(sequence["refusal"]))
            continue
        yield from _arms(sequence, results, name, layer["kind"].value)


def _arms(sequence: Fact | None, results: list[Fact], name: Content, kind: str) -> Iterator[Said]:
    """Yield what is to be done with each arm; those that run on are one."""
    running: list[Fact] = []
    for one in results:
        state = state_of(sequence, one["arm"].value)
        if not state or sequence is None:
            continue
        if state == "running":
            running.append(one)
        else:
            yield _settled(state, sequence["comparisons"][one["arm"].value], one, name, kind)
    if running and sequence is not None:
        where: Content = ["Keep ", name or running[0]["arm"].show(), " running until ", sequence["n_star"].show("count"), " units are in."]
        yield Said(
            "keep_running",
            where,
            ["No effect shows yet: ", [["; " if i else "", _so_far(sequence, one)] for i, one in enumerate(running)], "."],
        )


def _so_far(sequence: Fact, one: Fact) -> Content:
    course = sequence["comparisons"][one["arm"].value]
    return [one["arm"].show(), " ", between(course["ci_low"], course["ci_high"], styles(one)[1])]


def _settled(state: str, course: Fact, one: Fact, name: Content, kind: str) -> Said:
    arm, of = one["arm"].show(), [" of ", name] if name else []
    n: Content = [[" and " if i else "", each.show("count"), " units in ", each.name] for i, each in enumerate(course["n"].each())]
    interval: Content = [
        "The interval that holds at every look is ",
        between(course["ci_low"], course["ci_high"], styles(one)[1]),
        " (",
        n,
        ").",
    ]
    if kind == "ablation":
        part = PARTS.get(one["arm"].value, "what it leaves out")
        if state == "down":
            return Said("ship", ["Keep ", part, ": without it less is earned (", arm, of, ")."], interval)
        if state == "up":
            return Said("look", ["Leave out ", part, ": without it more is earned (", arm, of, ")."], interval)
        return Said(
            "look", [part[0].upper() + part[1:], " makes no difference that shows: the simpler way will do (", arm, of, ")."], interval
        )
    if state == "up":
        keep = "" if name else ", and keep the control: it goes on measuring"
        return Said("ship", ["Ship ", arm, of, keep, "."], ["It may stop. ", interval])
    if state == "down":
        return Said("stop", ["Stop ", arm, of, ": it does harm."], ["It may stop. ", interval])
    if state == "faded":
        return Said("look", ["Expect little of ", arm, of, "."], ["It had left zero out, and holds it again. ", interval])
    return Said("end", ["End the test of ", arm, of, ": no effect shows."], ["The planned units are in. ", interval])


def _models(facts: Fact) -> Iterator[Said]:
    answers = facts["answers"]
    fair = answers["calibration_explored"]
    drift = answers["drift"]
    newest = newest_of(drift) if drift.get("versions") is not None else None
    # What drift judges of the newest bundle goes first, so that page and command say one thing.
    of_drift = newest is not None and _judged(newest)
    judged = newest["calibration"] if newest is not None and of_drift else fair if fair.get("refusal") is None else answers["calibration"]
    explored = judged["judged"].value == "explored" if of_drift else judged is fair
    every = answers["calibration"]
    if judged.get("refusal") is None and not judged["calibrated"].value:
        drawn = " (judged on explored decisions, which no score picked)" if explored else ""
        yield Said("retrain", ["Recalibrate or train the models again", drawn, "."], [ended(judged["verdict"])])
    elif newest is not None and newest["retrain"].value is True:
        yield Said("retrain", "Train the models again.", [ended(newest["why"])])
    elif explored and every.get("refusal") is None and not every["calibrated"].value:
        shown: Content = [
            "Of all decisions: ",
            ended(every["verdict"]),
            " What is picked for a high score is picked for its errors, too. Of explored ones: ",
            ended(judged["verdict"]),
        ]
        yield Said("look", "Look at the scores of what is shown; explored decisions do not ask for training.", shown)
    alarms = [] if newest is None else [one["column"] for one in newest["columns"].each() if one["level"].value == "alarm"]
    if alarms:
        names: Content = [[", " if i else "", one.show()] for i, one in enumerate(alarms)]
        yield Said("look", ["Look at what has moved: ", names, "."], "Who comes, or what is known of them, is not what it was.")


def _judged(bundle: Fact) -> bool:
    """Whether drift says of this bundle's scores what happens."""
    judged = bundle.get("calibration")
    return judged is not None and judged.get("refusal") is None


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
            first = one["bottlenecks"][0]
            kept: Content = [
                "Keeping ",
                first["recovered_share"].show("round_share"),
                " of the ",
                first["lost"].show("count"),
                " lost there would ",
            ]
            worth = first.get("worth")
            brings: Content = ["bring ", first["extra_at_end"].show("count"), " more to the end"]
            if worth is not None:
                brings = ["be worth ", worth.show("count"), " in orders"]
            yield Said(
                "look",
                ["Look first at who is lost before \u201c", named_step(first["step"]), "\u201d in ", one["arm"].show(), "."],
                [kept, brings, ". A ranking, no promise."],
            )


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
    return ["Why: ", ended(refusal["why"]), " What to do: ", ended(refusal["what_to_do"])]
