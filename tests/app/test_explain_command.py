"""`liftgate explain`: a decision is explained a year later, when its bundle is long gone, from whatever form the log has by then."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.adapters.operators import new_token, token_hash
from liftgate.app.cli.log import app as log_app
from liftgate.app.cli.main import make_app
from liftgate.app.exit_code import ExitCode
from tests.app.conftest import SMALL, Serve

run = CliRunner().invoke
UNKNOWN = "019b76c0f3a17c0e8d4f5a6b7c8d9e0f"


def explain(log: Path, decision_id: str) -> dict[str, Any]:
    """Return the explanation as data."""
    done = run(make_app("explain"), ["explain", decision_id, "--log", str(log), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_year_later(serve: Serve, bundle: Path, tmp_path: Path) -> None:
    """Two bundles went live and are gone, a third is live: each decision is explained by its own rules, open, sealed or in Parquet."""
    log = tmp_path / "log"
    offers = bundle / "offers.yaml"
    server = serve("serving_all", bundle=bundle, workers=2)
    first = server.decide(request_id="one").decision_id
    written = offers.read_text()
    offers.write_text(written.replace("basket_value > 20.0", "basket_value > 30.0"))
    assert offers.read_text() != written
    server.process.send_signal(signal.SIGHUP)
    for worker in range(2):
        server.wait_for("reloaded", worker + 1)
    second = server.decide(request_id="two").decision_id
    assert server.end() == 0
    shutil.rmtree(bundle)
    other = Path(shutil.copytree(SMALL, tmp_path / "other"))
    (other / "bundle.yaml").write_text((other / "bundle.yaml").read_text().replace("bundle: small", "bundle: other"))
    server = serve(bundle=other)
    third = server.decide(request_id="three").decision_id
    ids = (first, second, third)

    before = [explain(log, one) for one in ids]
    assert [one["decision_id"] for one in before] == list(ids)
    assert [one["bundle"] for one in before] == ["small", "small", "other"]
    assert len({one["bundle_digest"] for one in before}) == 3
    assert sorted(path.stem for path in (log / "bundles").iterdir()) == sorted(one["bundle_digest"] for one in before)
    for one, basket in zip(before, (20, 30, 20), strict=True):
        assert not one["caveats"]
        rules = [rule for candidate in one["candidates"] for rule in candidate["rules"]]
        assert any(f"basket_value > {basket}.0" in rule["text"] for rule in rules)
        assert all(rule["rule"].partition(":")[0].endswith(".yaml") for rule in rules)
        assert one["models"][0]["sha256"]

    assert server.end() == 0
    assert run(log_app, ["seal", str(log), "--delete"]).exit_code == 0
    assert not list(log.glob("decision-*.seg"))
    assert [explain(log, one) for one in ids] == before
    words = run(make_app("explain"), ["explain", first, "--log", str(log)])
    assert words.exit_code == 0
    for text in (before[0]["summary"], first, before[0]["bundle_digest"], "P(outcome)", "consent", "profile.age"):
        assert text in words.stdout


def test_a_service_is_asked(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --target the service explains: to anyone where it was told so, with operators to who has a token, and never without either."""
    token = new_token()
    operators = tmp_path / "operators.yaml"
    operators.write_text(f'operators:\n  ada: {{roles: [reviewer], token_sha256: "{token_hash(token)}"}}\n')
    monkeypatch.delenv("LIFTGATE_TOKEN", raising=False)
    for flags, given, code, says in (
        ({"explain_by_id": ""}, "", 0, "home.hero shows"),
        ({}, "", 2, "--explain-by-id"),
        ({"operators": operators}, "", 2, "authorization"),
        ({"operators": operators}, token, 0, "home.hero shows"),
    ):
        monkeypatch.setenv("LIFTGATE_TOKEN", given)
        server = serve(**flags)
        decision_id = server.decide().decision_id
        target = f"127.0.0.1:{server.port}"
        done = run(make_app("explain"), ["explain", decision_id, "--target", target])
        assert (done.exit_code, says in done.output) == (code, True), done.output
        if not code:
            assert decision_id in done.output
            missing = run(make_app("explain"), ["explain", UNKNOWN, "--target", target])
            assert (missing.exit_code, "--log DIR" in missing.stderr) == (2, True)
        assert server.end() == 0
    assert run(make_app("explain"), ["explain", UNKNOWN, "--target", target]).exit_code == 1


def test_what_is_not_there_is_said(serve: Serve, tmp_path: Path) -> None:
    """An unknown id, a malformed one and a folder without a log end with 2 and plain words, as JSON where that was asked for."""
    for decision_id, says in ((UNKNOWN, "it holds no log"), ("nonsense", "32 hexadecimal digits")):
        done = run(make_app("explain"), ["explain", decision_id, "--log", str(tmp_path)])
        assert (done.exit_code, says in done.stderr) == (2, True)
    done = run(make_app("explain"), ["explain", UNKNOWN, "--log", str(tmp_path), "--json"])
    assert UNKNOWN in json.loads(done.stderr)["error"]
    assert run(make_app("explain"), ["explain", UNKNOWN, "--log", str(tmp_path / "nowhere")]).exit_code == 2


def test_an_id_may_be_written_as_a_uuid(tmp_path: Path) -> None:
    """Dashes and upper case are understood: other tools write ids so."""
    dashed = "019B76C0-F3A1-7C0E-8D4F-5A6B7C8D9E0F"
    assert f"the id {UNKNOWN}" in run(make_app("explain"), ["explain", dashed, "--log", str(tmp_path)]).stderr


def test_a_bundle_that_cannot_be_kept_does_not_go_live(serve: Serve, bundle: Path, tmp_path: Path) -> None:
    """Without room beside the log a start ends with 2 and a reload is refused: no decision is made that could not be explained."""
    kept = tmp_path / "log" / "bundles"
    server = serve(bundle=bundle)
    before = server.decide(request_id="one").bundle_digest
    shutil.rmtree(kept)
    kept.write_text("in the way")
    offers = bundle / "offers.yaml"
    offers.write_text(offers.read_text().replace("profile.age >= 18", "profile.age >= 21"))
    server.process.send_signal(signal.SIGHUP)
    refused = server.wait_for("reload_refused")
    assert "cannot be kept beside the log" in str(refused)
    assert server.decide(request_id="two").bundle_digest == before
    assert server.end() == 0
    again = serve(wait=None, bundle=bundle)
    assert again.process.wait(60) == ExitCode.CANNOT_START
    assert "make room there" in again.text


@pytest.mark.parametrize("explained", [True, False])
def test_a_log_from_before_has_reasons_and_says_what_it_lacks(serve: Serve, tmp_path: Path, explained: bool) -> None:
    """Where the archive of a bundle is missing, the explanation says so and gives what the record has."""
    server = serve()
    decision_id = server.decide().decision_id
    assert server.end() == 0
    if not explained:
        shutil.rmtree(tmp_path / "log" / "bundles")
    found = explain(tmp_path / "log", decision_id)
    assert bool(found["caveats"]) is not explained
    assert any(candidate["rules"] for candidate in found["candidates"]) is explained
    assert all(candidate["text"] for candidate in found["candidates"])
