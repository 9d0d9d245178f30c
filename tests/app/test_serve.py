"""`liftgate serve` with one process: start, answer, show, reload, drain."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from liftgate.pipeline.stages import Stage
from tests.app.conftest import Serve


def test_it_serves_shows_metrics_drains_and_seals(serve: Serve, tmp_path: Path) -> None:
    """A server answers from its embedded store, counts it, and on SIGTERM ends with 0 and a sealed log."""
    server = serve()
    decision = server.decide()
    assert decision.from_service
    assert decision.reason == "UNKNOWN_PERSON"
    assert not decision.degraded
    server.metric_becomes('liftgate_requests_total{code="OK",method="Decide"}', 1)
    assert server.metric("liftgate_workers_serving") == 1
    server.metric_becomes('liftgate_log_records_total{log="decision"}', 1)
    for stage in Stage:
        assert server.metric(f'liftgate_stage_seconds_count{{stage="{stage.label}"}}') >= 1
    assert server.end() == 0
    assert server.lines("stopped")[0]["code"] == 0
    names = sorted(path.suffix for path in (tmp_path / "log").iterdir() if path.is_file())
    assert names == [".seg"]
    key = tmp_path / "keys/pseudonym.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert server.lines("pseudonym_key_made")[0]["path"] == str(key)


def test_settings_are_printed_with_secrets_hidden_and_no_person_is_named(serve: Serve) -> None:
    """The first line has every setting; neither password nor key nor person stands anywhere in what is said."""
    server = serve(
        redis="redis://someone:hunter2secret@127.0.0.1:1/0",
        variables={"LIFTGATE_PSEUDONYM_KEY": "correct-horse-battery", "LIFTGATE_PROT": "7"},
        fetch_budget_ms=50,
    )
    server.decide("canary-person")
    assert server.end() == 0
    first = server.lines()[0]
    assert first["event"] == "settings"
    assert first["redis"] == "redis://(hidden)@127.0.0.1:1/0"
    assert first["pseudonym_key"] == "(hidden)"
    assert server.lines("unknown_variable")[0]["variable"] == "LIFTGATE_PROT"
    for secret in ("hunter2secret", "correct-horse", "canary-person"):
        assert secret not in server.text


def test_redis_away_does_not_stop_a_start(serve: Serve) -> None:
    """With nobody at the store's address the server says so, serves, and answers degraded."""
    server = serve(redis="redis://127.0.0.1:1/0", fetch_budget_ms=50)
    assert server.lines("store_unavailable")
    decision = server.decide()
    assert decision.from_service
    assert decision.degraded
    assert decision.reason == "PROFILE_STORE_UNAVAILABLE"
    assert server.metric('liftgate_fallbacks_total{stage="fetch"}') >= 1
    assert server.end() == 0


def test_a_broken_bundle_keeps_the_old_one_and_a_good_one_replaces_it(serve: Serve, bundle: Path) -> None:
    """SIGHUP on a broken bundle names the mistake and changes nothing; on a mended one every later decision has the new digest."""
    server = serve(bundle=bundle)
    before = server.decide().bundle_digest
    offers = bundle / "offers.yaml"
    good = offers.read_text()
    offers.write_text(good.replace("value: 1.25", "value: minus"))
    os.kill(server.process.pid, signal.SIGHUP)
    refused = server.wait_for("reload_refused")
    assert "offers.yaml:" in str(refused["mistakes"])
    assert server.decide().bundle_digest == before
    offers.write_text(good.replace("value: 1.25", "value: 1.75"))
    os.kill(server.process.pid, signal.SIGHUP)
    digest = server.wait_for("reloaded")["digest"]
    assert digest != before
    assert server.decide().bundle_digest == digest
    assert server.metric('liftgate_reloads_total{result="refused"}') == 1
    assert server.metric('liftgate_reloads_total{result="swapped"}') == 1
    assert server.end() == 0


def test_a_reload_says_whether_anything_changed_and_whether_profiles_are_lost(serve: Serve, bundle: Path) -> None:
    """The same bundle is `reload_unchanged`, a changed value `reloaded`; a further feature also warns that profiles are unreadable."""
    server = serve(bundle=bundle)
    os.kill(server.process.pid, signal.SIGHUP)
    server.wait_for("reload_unchanged")
    assert not server.lines("reloaded")
    offers = bundle / "offers.yaml"
    offers.write_text(offers.read_text().replace("value: 1.25", "value: 1.75"))
    os.kill(server.process.pid, signal.SIGHUP)
    server.wait_for("reloaded")
    assert not server.lines("profile_schema_changed")
    features = bundle / "bundle.yaml"
    features.write_text(("\n" + features.read_text()).replace("\nfeatures:\n", "\nfeatures:\n  brand_new: {type: int}\n"))
    os.kill(server.process.pid, signal.SIGHUP)
    assert "loaded again" in str(server.wait_for("profile_schema_changed")["meaning"])
    assert len(server.lines("reloaded")) == 2
    assert server.end() == 0


def test_a_model_that_changed_on_disk_is_not_reloaded(serve: Serve, bundle: Path) -> None:
    """A model file that is not what its manifest says never replaces the one in force."""
    server = serve(bundle=bundle)
    before = server.decide().bundle_digest
    with (bundle / "models/tiny/1/model.onnx").open("ab") as model:
        model.write(b"\0")
    os.kill(server.process.pid, signal.SIGHUP)
    server.wait_for("reload_refused")
    assert server.decide().bundle_digest == before
    assert server.end() == 0


def test_the_lame_duck_goes_on_serving_and_a_second_signal_cuts_it_short(serve: Serve) -> None:
    """After one SIGTERM calls are still answered; the second ends a lame duck that would have lasted minutes."""
    server = serve(lame_duck_s=300)
    os.kill(server.process.pid, signal.SIGTERM)
    server.wait_for("draining")
    assert server.decide().from_service
    assert server.process.poll() is None
    started = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - started < 250


def test_an_empty_event_log_leaves_nothing_behind_and_a_second_start_goes_on(serve: Serve, tmp_path: Path) -> None:
    """A killed server's segment is mended by the next start, which keeps the same pseudonym key."""
    first = serve()
    first.decide()
    first.end(signal.SIGKILL)
    second = serve()
    mended = second.wait_for("segment_mended")
    assert (mended["log"], mended["records"]) == ("decision", 1)
    assert not second.lines("pseudonym_key_made")
    assert second.end() == 0
    assert not [path for path in (tmp_path / "log").iterdir() if path.is_file() and path.suffix != ".seg"]
