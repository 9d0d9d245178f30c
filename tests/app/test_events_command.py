"""`liftgate events import`: a file of calls through the API of a real server, twice."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from liftgate.app.cli.events import app
from liftgate.record.parquet import read_log

BUNDLE = """
bundle: b
currency: EUR
time_zone: UTC
profile_purpose: none
signals: {quiz_finished: {}, email_opened: {reliability: unreliable}}
event_properties: {category: {type: string}}
offers: {gift: {value: 1.0}}
placements: {home: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.0}}}
"""
AT = "2026-06-15T12:00:00Z"


def run(*words: Any) -> Result:
    """Run `liftgate events import`."""
    return CliRunner().invoke(app, ["import", *map(str, words)])


def call(event: str, number: int, **properties: Any) -> str:
    """Return a track call as a line."""
    return json.dumps(
        {"type": "track", "event": event, "messageId": f"m-{number}", "userId": "ada", "timestamp": AT, "properties": properties}
    )


LINES = [
    call("Order Completed", 1, revenue=10, currency="EUR", category="shoes", email="ada@example.org"),
    call("Email Opened", 2),
    "",
    "{not json",
    call("Order Refunded", 3, total=-5),
    call("Quiz Finished", 4),
    call("Newsletter Folded", 5),
    json.dumps({"type": "identify", "userId": "ada"}),
    json.dumps({"type": "track", "event": "Product Added", "userId": "ada", "timestamp": AT}),
]


def test_a_file_is_imported_once_however_often(serve: Callable[..., Any], tmp_path: Path) -> None:
    """Events are in the log by their own ids, bad lines are named, unmapped names counted, a second run finds duplicates alone."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    file = tmp_path / "calls.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(LINES).encode()))
    server = serve(bundle=str(folder))
    words = [file, "--format", "segment", "--event", "Quiz Finished=quiz_finished", "--target", f"127.0.0.1:{server.port}"]
    first = run(*words, "--json")
    assert first.exit_code == 1
    found = json.loads(first.stdout)
    assert (found["lines"], found["accepted"], found["duplicates"], found["bad"]) == (8, 3, 0, 3)
    assert [(bad["line"], bad["field"]) for bad in found["bad_lines"]] == [(4, ""), (9, "messageId"), (5, "value")]
    assert found["skipped"] == {"event Newsletter Folded": 1, "type identify": 1}
    assert found["dropped_properties"] >= 1
    again = run(*words)
    assert again.exit_code == 1
    assert "3 accepted, 3 of them known before" in again.stdout
    assert f"{file}:9: messageId wants text" in again.stderr
    assert server.end() == 0
    rows = {row["event_id"]: row for row in read_log(server.directory / "log", "event")}
    assert {name: row["kind"] for name, row in rows.items()} == {"m-1": "PURCHASE", "m-2": "EMAIL_OPENED", "m-4": "CUSTOM"}
    assert (rows["m-1"]["value"], rows["m-1"]["properties_json"]) == (10.0, '{"category":"shoes"}')
    assert (rows["m-2"]["reliability"], rows["m-4"]["name"]) == ("UNRELIABLE", "quiz_finished")
    stored = b"".join(path.read_bytes() for path in (server.directory / "log").iterdir() if path.is_file())
    assert b"ada@example.org" not in stored


def test_a_dry_run_sends_nothing(tmp_path: Path) -> None:
    """Everything is read and mapped; no service is needed."""
    file = tmp_path / "calls.jsonl"
    file.write_text("\n".join(LINES[:2]), encoding="utf-8")
    found = run(file, "--format", "rudderstack", "--dry-run", "--target", "127.0.0.1:1")
    assert (found.exit_code, found.stdout) == (0, "2 lines, 2 with an event; nothing was sent\n")


def test_a_service_that_is_away(tmp_path: Path) -> None:
    """Exit code 1, and what to do."""
    file = tmp_path / "calls.jsonl"
    file.write_text(LINES[0], encoding="utf-8")
    found = run(file, "--format", "segment", "--target", "127.0.0.1:1", "--timeout-s", "0.3")
    assert found.exit_code == 1
    assert "run the command again, nothing is counted twice" in found.stderr


def test_wrong_files_and_words(tmp_path: Path) -> None:
    """A file that is not there, not gzip to its end or not text, a format or a map that is none: exit code 2 in plain words."""
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(LINES[0].encode() * 100)[:-20])
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    fine = tmp_path / "fine.jsonl"
    fine.write_text(LINES[0], encoding="utf-8")
    for words, said in (
        ([tmp_path / "none.jsonl"], "No such file"),
        ([cut, "--dry-run"], "ends in the middle"),
        ([binary, "--dry-run"], "no UTF-8"),
        ([fine, "--format", "morse"], "--format wants one of"),
        ([fine, "--event", "Quiz"], "--event wants NAME=SIGNAL"),
    ):
        found = run(*words)
        assert (found.exit_code, said in found.stderr) == (2, True), (words, found.stderr)
