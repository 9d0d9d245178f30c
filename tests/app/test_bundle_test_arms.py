"""`bundle test` with people in arms: a table can say what an arm does, and says nothing of arms where it names none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.bundle import app
from tests.properties.arm_bundles import MODELS

RUN = CliRunner()
BUNDLE = """
bundle: shop
currency: EUR
time_zone: UTC
profile_purpose: none
features:
  age: {type: int}
  spend: {type: float, default: 10.0}
models:
  likes: {version: 1, outcome: click, horizon: 1d}
offers:
  plain: {value: 1.0}
  better: {value: 2.0}
  liked: {value: 3.0, propensity: likes}
  gold: {value: 9.0, suitable_if: 'profile.age > 60'}
placements:
  top: {offers: [plain, better, liked, gold], select: {policy: epsilon_greedy, epsilon: 0.1}}
layers:
  impact: {kind: ablation, salt: i-1, arms: {random_allowed: 0.4, eligibility_only: 0.4}}
  tried:
    kind: experiment
    salt: t-1
    placements: [top]
    arms: {control: 0.05, newer: {share: 0.45, models: {likes: 2}}, fewer: {share: 0.5, offers: [plain]}}
"""
PERSONS = """
now: 2026-11-20T12:00:00Z
persons:
  ada: {profile: {age: 40, spend: 12.0}}
  newer: {like: ada, arms: {tried: newer}}
  fewer: {like: ada, arms: {tried: fewer}}
  random: {like: ada, arms: {impact: random_allowed}}
  unruled: {like: ada, arms: {impact: eligibility_only}}
  both: {like: ada, arms: {impact: random_allowed, tried: fewer}}
cases:
"""


def ran(tmp_path: Path, *lines: str) -> list[dict[str, Any]]:
    """Run some cases and return what `--json` says of each."""
    folder = tmp_path / "shop"
    (folder / "tests").mkdir(parents=True)
    (folder / "shop.yaml").write_text(BUNDLE, encoding="utf-8")
    shutil.copytree(MODELS, folder / "models")
    (folder / "tests" / "arms.yaml").write_text(PERSONS + "".join(f"- {line}\n" for line in lines), encoding="utf-8")
    document = json.loads(RUN.invoke(app, ["test", str(folder), "--json"]).stdout)
    found: list[dict[str, Any]] = document["cases"]
    return found


CASES = {
    "person: ada, want: {chosen: better, probability: {better: 0.933333333}}": "in no arm that changes anything",
    "person: newer, want: {chosen: liked}": "scored by the arm's model",
    "person: fewer, want: {chosen: plain, reasons: {better: NOT_IN_ARM, gold: NOT_SUITABLE}, allowed: [plain]}": "shown the arm's offers",
    "person: random, want: {probability: {plain: 0.333333333, better: 0.333333333}}": "drawn evenly, whatever the draw",
    "person: unruled, want: {chosen: gold, shadow: {gold: NOT_SUITABLE}}": "past suitable_if, which is noted",
    "person: both, want: {probability: {plain: 1.0}}": "in two arms at once",
    "person: newer, propensity: {liked: 0.1}, want: {chosen: better}": "given another propensity, whatever model scores",
}


@pytest.mark.parametrize("case", CASES, ids=CASES.values())
def test_a_person_of_an_arm_is_decided_by_it(case: str, tmp_path: Path) -> None:
    """A case with its person in an arm passes with what the arm does."""
    (found,) = ran(tmp_path, f"{{placement: top, {case}}}")
    assert found["passed"], found["problems"]


@pytest.mark.parametrize("case", [case for case in CASES if "ada" not in case], ids=[CASES[case] for case in CASES if "ada" not in case])
def test_outside_of_the_arm_it_fails(case: str, tmp_path: Path) -> None:
    """The control: the same wish for somebody who is in no arm does not come true."""
    person = case.split(",")[0]
    if "given another" in CASES[case]:
        case = case.replace("chosen: better", "chosen: liked")
    (found,) = ran(tmp_path, f"{{placement: top, {case.replace(person, 'person: ada')}}}")
    assert not found["passed"]
