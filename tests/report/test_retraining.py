"""When the page asks for training: explored decisions judge the scores, for what is picked by score is picked for its errors too."""

from __future__ import annotations

from typing import Any

import pytest

from liftgate.report.recommend import recommendations
from liftgate.report.shown import Fact

_REFUSED = {"code": "too_few_events", "why": "too few", "what_to_do": "wait"}


def _judged(calibrated: bool | None) -> dict[str, Any]:
    if calibrated is None:
        return {"refusal": _REFUSED}
    return {"refusal": None, "calibrated": calibrated, "verdict": "Calibrated." if calibrated else "Not calibrated."}


def _facts(explored: bool | None, everything: bool, drifted: bool | None) -> Fact:
    """Facts that say nothing but how scores are: explored ones, all, and those that drift judges (None: refused)."""
    newest = {"retrain": True, "why": "Train again: so it is", "columns": [], "calibration": _judged(drifted)}
    quiet = {"refusal": _REFUSED}
    answers: dict[str, Any] = dict.fromkeys(("quality", "srm", "lift", "sequential", "funnel", "decisions", "off_policy"), quiet)
    answers |= {"calibration": _judged(everything), "calibration_explored": _judged(explored), "drift": {"versions": {"a": newest}}}
    return Fact({"answers": answers, "commands": {"lift": ""}, "layers": [], "n_star": 1, "n_star_from": "bundle"})


@pytest.mark.parametrize(
    ("explored", "everything", "drifted", "wanted"),
    [
        (False, True, True, "Recalibrate or train the models again (judged on explored decisions, which no score picked)."),
        (True, False, False, "Look at the scores of what is shown; explored decisions do not ask for training."),
        (True, False, None, "Train the models again."),
        (None, False, False, "Recalibrate or train the models again."),
        (None, True, False, "Train the models again."),
    ],
)
def test_explored_decisions_judge(explored: bool | None, everything: bool, drifted: bool | None, wanted: str) -> None:
    """Scores that explored decisions confirm are looked at and not trained again; without such a judge all decisions and drift say it."""
    said = [one for one in recommendations(_facts(explored, everything, drifted)) if one.level in ("retrain", "look")]
    assert ["".join(str(word) for word in one.what or "") for one in said] == [wanted]
