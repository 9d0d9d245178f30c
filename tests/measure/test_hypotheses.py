"""Hypotheses: scores and ranks as published, files with their mistakes by line, N* that stays frozen, and guesses held to what came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from liftgate.app.cli.hypotheses_setup import layer_text
from liftgate.app.cli.main import main
from liftgate.bundle.load import check_bundle
from liftgate.measure.hypotheses import Hypothesis, Ice, Pie, judge, ranked, spearman, track

ORACLE = Path(__file__).parents[2] / "../shared/oracle/34_ice_pie.json"
with_oracle = pytest.mark.skipif(not ORACLE.is_file(), reason=f"THE ORACLE OF ICE AND PIE DID NOT RUN: {ORACLE} is not there")


def _one(id_: str, expected: float = 0.05, **more: Any) -> Hypothesis:
    fields = {"id": id_, "what": "w", "why": "y", "expected_lift": expected, "metric": "m", "owner": "o"}
    return Hypothesis.model_validate(fields | more)


@with_oracle
def test_scores_and_ranks_equal_the_oracle() -> None:
    """ICE as product and mean, PIE as mean, and both rankings are the published ones."""
    case = json.loads(ORACLE.read_text())
    backlog = []
    for row in case["inputs"]["hypotheses"]:
        ice = Ice(impact=row["impact"], confidence=row["confidence"], ease=row["ease"])
        pie = Pie(potential=row["potential"], importance=row["importance"], ease=row["ease"])
        want = case["expected"]["scores"][row["id"]]
        assert (ice.score, ice.mean, pie.score) == pytest.approx((want["ice_product"], want["ice_mean"], want["pie_mean"]), rel=1e-9)
        backlog.append(_one(row["id"].lower(), ice=ice.model_dump(), pie=pie.model_dump()))
    for by, key in (("ice", "rank_ice_product"), ("pie", "rank_pie")):
        assert [one.id.upper() for one in ranked(backlog, by)] == case["expected"][key]  # type: ignore[arg-type]


def test_what_has_no_score_comes_last() -> None:
    """A hypothesis without the score that ranks stands behind all that have it, by id."""
    scored = _one("z", ice={"impact": 1, "confidence": 1, "ease": 1})
    assert [one.id for one in ranked([_one("b"), scored, _one("a")])] == ["z", "a", "b"]


@pytest.mark.parametrize(
    ("expected", "measured", "verdict", "inside"),
    [
        (0.05, {"lift": 0.04, "ci_low": 0.01, "ci_high": 0.07}, "confirmed", True),
        (0.10, {"lift": 0.04, "ci_low": 0.01, "ci_high": 0.07}, "smaller than expected", False),
        (0.02, {"lift": 0.06, "ci_low": 0.03, "ci_high": 0.09}, "larger than expected", False),
        (0.05, {"lift": -0.04, "ci_low": -0.07, "ci_high": -0.01}, "opposite", False),
        (0.05, {"lift": 0.01, "ci_low": -0.02, "ci_high": 0.06}, "not shown", True),
        (0.05, {"lift": 0.04}, "not shown", None),
    ],
)
def test_a_guess_is_judged_by_the_interval(expected: float, measured: dict[str, float], verdict: str, inside: bool | None) -> None:
    """The verdict needs an interval off 0; without one nothing is shown, whatever the estimate."""
    found = judge(_one("a", expected, measured=measured))
    assert found is not None
    assert (found.verdict, found.inside) == (verdict, inside)


def test_the_track_says_how_far_guesses_run_high() -> None:
    """Optimism is the mean of expected minus measured; direction and intervals are counted; unmeasured ones stay out."""
    found = track(
        [
            _one("a", 0.10, measured={"lift": 0.02, "ci_low": 0.01, "ci_high": 0.03}),
            _one("b", 0.05, measured={"lift": -0.01, "ci_low": -0.02, "ci_high": 0.06}),
            _one("c", 0.5),
        ]
    )
    assert found is not None
    assert found.optimism == pytest.approx(0.07)
    assert (found.right_direction, found.inside, found.with_interval, found.rank_agreement) == (1, 1, 2, None)
    assert track([_one("c")]) is None


def test_rank_agreement_with_ties() -> None:
    """Spearman is 1 for the same order, -1 for the opposite, takes mean ranks of ties, and says nothing without spread."""
    assert spearman([(1, 10), (2, 20), (3, 30)]) == pytest.approx(1)
    assert spearman([(1, 30), (2, 20), (3, 10)]) == pytest.approx(-1)
    assert spearman([(1, 1), (1, 2), (2, 3)]) == pytest.approx(0.8660254)
    assert spearman([(1, 1), (1, 2), (1, 3)]) is None


def _run(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["hypotheses", *words, "--dir", str(folder), "--json"])
    out = capsys.readouterr().out
    code = ended.value.code
    assert isinstance(code, int)
    return code, json.loads(out) if out else {}


def test_from_an_idea_to_what_was_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """New, scored, linked with a planned N*, measured: the file keeps its comment, and N* does not move once it is frozen."""
    words = ["--what", "w", "--why", "y", "--expected-lift", "10%", "--metric", "visit", "--owner", "bo"]
    assert _run(capsys, tmp_path, "new", "mail", *words)[0] == 0
    assert _run(capsys, tmp_path, "new", "mail", *words)[0] == 2
    path = tmp_path / "mail.yaml"
    path.write_text("# ours\n" + path.read_text())
    code, found = _run(capsys, tmp_path, "score", "mail", "--impact", "6", "--confidence", "9", "--ease", "8")
    assert (code, found["hypothesis"]["scores"]["ice_product"]) == (0, 432)
    assert _run(capsys, tmp_path, "score", "mail", "--impact", "11", "--confidence", "9", "--ease", "8")[0] == 2
    code, found = _run(capsys, tmp_path, "learn", "mail", "--lift", "2%")
    assert (code, found["refusal"]["code"]) == (3, "not_linked")
    code, found = _run(capsys, tmp_path, "link", "mail", "--experiment", "mail-q4", "--baseline", "0.1")
    assert (code, found["setup"]["n_star"]) == (0, 29_498)
    code, found = _run(capsys, tmp_path, "link", "mail", "--experiment", "mail-q4", "--n-star", "5000")
    assert (code, found["refusal"]["code"]) == (3, "n_star_frozen")
    code, found = _run(capsys, tmp_path, "learn", "mail", "--lift", "2%", "--ci-low", "1%", "--ci-high", "3%")
    assert (code, found["guesses"][0]["verdict"]) == (0, "smaller than expected")
    code, found = _run(capsys, tmp_path, "list")
    assert (found["hypotheses"][0]["n_star"], found["hypotheses"][0]["stage"]) == (29_498, "measured")
    assert path.read_text().startswith("# ours\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_hypothesis_becomes_a_layer_of_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `link` prints for three arms is a layer that a bundle takes as it is, with the frozen N*; more arms need more people."""
    words = ["--what", "w", "--why", "y", "--expected-lift", "10%", "--metric", "purchase", "--owner", "bo: the second"]
    n_stars = []
    for name, arms in (("one", []), ("two", ["--arm", "red", "--arm", "blue"])):
        assert _run(capsys, tmp_path / "hypotheses", "new", name, *words)[0] == 0
        code, found = _run(capsys, tmp_path / "hypotheses", "link", name, "--experiment", "hero-red", "--baseline", "0.1", *arms)
        assert code == 0
        n_stars.append(found["setup"]["n_star"])
    assert n_stars[0] == 29_498
    assert n_stars[1] > 1.5 * n_stars[0]
    folder = tmp_path / "bundle"
    folder.mkdir()
    head = "bundle: b\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\noffers: {loan: {value: 3.0}}\n"
    head += "placements: {hero: {offers: [loan], select: {policy: epsilon_greedy, epsilon: 0.1}}}\n"
    (folder / "b.yaml").write_text(head + layer_text(found["setup"]) + "\n")
    checked = check_bundle(folder, None)
    assert checked.bundle is not None, checked.mistakes
    (layer,) = checked.bundle.layers
    assert (layer.n_star, layer.hypothesis, layer.owner) == (n_stars[1], "two", "bo: the second")
    assert [arm.name for arm in layer.arms] == ["control", "red", "blue"]
    assert _run(capsys, tmp_path / "hypotheses", "link", "one", "--experiment", "x", "--n-star", "9", "--arm", "control")[0] == 2


def test_mistakes_come_all_at_once_with_line_and_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing field, an unknown one, a score out of range, another name than the file's: each by file and line, and nothing is listed."""
    (tmp_path / "x.yaml").write_text(
        "id: x\nwhat: a\nwhy: b\nexpected_lift: 5\nmetrik: c\nowner: d\nice: {impact: 11, confidence: 2, ease: 3}\n"
    )
    (tmp_path / "y.yaml").write_text("id: z\nwhat: a\nwhy: b\nexpected_lift: 5\nmetric: c\nowner: d\n")
    code, found = _run(capsys, tmp_path, "list")
    assert code == 2
    assert [(one["file"], one["line"], one["field"]) for one in found["mistakes"]] == [
        ("x.yaml", 1, "metric"),
        ("x.yaml", 5, "metrik"),
        ("x.yaml", 7, "ice.impact"),
        ("y.yaml", 1, "id"),
    ]
    assert all(one["mend"] for one in found["mistakes"])


def test_nothing_measured_is_refused_and_an_unknown_name_is_a_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to learn before a readout; a name that no file has is said."""
    words = ["--what", "w", "--why", "y", "--expected-lift", "10%", "--metric", "visit", "--owner", "bo"]
    _run(capsys, tmp_path, "new", "mail", *words)
    code, found = _run(capsys, tmp_path, "learn")
    assert (code, found["refusal"]["code"]) == (3, "nothing_measured")
    assert _run(capsys, tmp_path, "link", "mial", "--experiment", "e", "--n-star", "500")[0] == 2


def test_a_readout_is_taken_from_the_answer_of_lift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON of `measure lift` gives lift and interval of the hypothesis' metric; several arms want a name; a refusal stays one."""
    words = ["--what", "w", "--why", "y", "--expected-lift", "10%", "--metric", "y", "--owner", "bo"]
    folder = tmp_path / "hypotheses"
    _run(capsys, folder, "new", "mail", *words)
    _run(capsys, folder, "link", "mail", "--experiment", "e", "--n-star", "500")
    rows = [f"{arm},{int(i % ten < 3)}" for arm, ten in (("a", 10), ("b", 8), ("c", 9)) for i in range(1_440)]
    table, answered = tmp_path / "t.csv", tmp_path / "lift.json"
    table.write_text("arm,y\n" + "\n".join(rows) + "\n")
    with pytest.raises(SystemExit):
        main(["measure", "lift", "--table", str(table), "--unit", "row", "--arm", "arm", "--control", "a", "--metric", "y", "--json"])
    answered.write_text(capsys.readouterr().out)
    assert _run(capsys, folder, "learn", "mail", "--from", str(answered))[0] == 2
    code, found = _run(capsys, folder, "learn", "mail", "--from", str(answered), "--arm", "b")
    assert code == 0
    assert found["guesses"][0]["measured"]["lift"] == pytest.approx(0.25)
    assert found["guesses"][0]["measured"]["ci_low"] < 0.25 < found["guesses"][0]["measured"]["ci_high"]
    answered.write_text(json.dumps({"refusal": {"code": "sample_ratio_mismatch", "why": "w", "what_to_do": "d"}}))
    code, found = _run(capsys, folder, "learn", "mail", "--from", str(answered))
    assert (code, found["refusal"]["code"]) == (3, "sample_ratio_mismatch")
