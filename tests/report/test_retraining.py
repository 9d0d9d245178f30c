"""When the page asks for training: explored decisions judge the scores, for what is picked by score is picked for its errors too."""

from __future__ import annotations

from typing import Any

import pytest

from liftgate.report.recommend import recommendations
from liftgate.report.shown import Fact

_DRAWN = "Recalibrate or train the models again (judged on explored decisions, which no score picked)."
_LOOK = "Look at the scores of what is shown; explored decisions do not ask for training."
_REFUSED = {"code": "too_few_events", "why": "too few", "what_to_do": "wait"}


def _judged(calibrated: bool | None) -> dict[str, Any]:
    if calibrated is None:
        return {"refusal": _REFUSED}
    return {"refusal": None, "calibrated": calibrated, "verdict": "Calibrated." if calibrated else "Not calibrated."}


def _facts(explored: bool | None, everything: bool, drifted: bool | None, judged: str) -> Fact:
    """Facts that say nothing but how scores are: explored ones, all, and those that drift judges (None: refused, and columns ask)."""
    calibration = _judged(drifted) | {"judged": judged}
    newest = {"retrain": drifted is not True, "why": "Train again: so it is", "columns": [], "calibration": calibration}
    quiet = {"refusal": _REFUSED}
    answers: dict[str, Any] = dict.fromkeys(("quality", "srm", "lift", "sequential", "funnel", "decisions", "off_policy"), quiet)
    answers |= {"calibration": _judged(everything), "calibration_explored": _judged(explored), "drift": {"versions": {"a": newest}}}
    return Fact({"answers": answers, "commands": {"lift": ""}, "layers": [], "n_star": 1, "n_star_from": "bundle"})


@pytest.mark.parametrize(
    ("explored", "everything", "drifted", "judged", "wanted"),
    [
        (False, True, False, "explored", [_DRAWN]),
        (True, False, False, "explored", [_DRAWN]),
        (True, False, True, "explored", [_LOOK]),
        (False, False, True, "explored", [_LOOK]),
        (True, True, True, "explored", []),
        (True, False, None, "all", ["Train the models again."]),
        (False, True, None, "all", [_DRAWN]),
        (None, False, False, "all", ["Recalibrate or train the models again."]),
        (None, True, False, "all", ["Recalibrate or train the models again."]),
        (None, False, True, "all", []),
    ],
)
def test_explored_decisions_judge(explored: bool | None, everything: bool, drifted: bool | None, judged: str, wanted: list[str]) -> None:
    """The page asks for training where drift does of the newest bundle; scores that explored decisions confirm are looked at at most."""
    said = [one for one in recommendations(_facts(explored, everything, drifted, judged)) if one.level in ("retrain", "look")]
    assert ["".join(str(word) for word in one.what or "") for one in said] == wanted
