"""`liftgate log` as a person or a script sees it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.log import app
from liftgate.record.frame import Header, Stream, encode_frames
from liftgate.record.storage import DiskStorage
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord, InputColumn, SlotProbabilities

run = CliRunner().invoke


def decisions(first: int, count: int) -> list[bytes]:
    """Decisions with ids from `first`."""
    return [
        DecisionRecord(
            decision_id=f"{number:032x}",
            decided_at_ms=1_767_225_600_000 + number,
            person_pseudonym=b"\x01\x02",
            placement_id="home.hero",
            arm=2,  # type: ignore[arg-type]
            branch=3,  # type: ignore[arg-type]
            reason=61,  # type: ignore[arg-type]
            would_offer=["free-shipping"],
            candidate_offer_id=["free-shipping", "credit"],
            candidate_reason=[2, 12],  # type: ignore[list-item]
            candidate_propensity=[0.25, float("nan")],
            candidate_value=[4.0, float("nan")],
            slots=[SlotProbabilities(probability=[1.0, 0.0])],
            inputs=[InputColumn(name="context.channel", type="string", values=["web", "app"])],
            input_value=[1.0],
            input_age_s=[float("nan")],
            input_state=[1],  # type: ignore[list-item]
            purpose=["personalization"],
            consent_reason=[1],  # type: ignore[list-item]
        ).SerializeToString()
        for number in range(first, first + count)
    ]


def write(
    directory: Path, name: str, payloads: list[bytes], first: int = 0, suffix: str = ".seg", stream: Stream = Stream.DECISION
) -> Path:
    """Write a segment."""
    path = directory / f"{stream.label}-{name}{suffix}"
    path.write_bytes(Header(stream, b"w" * 16, b"b" * 16, first, 5).encode() + encode_frames(payloads, first))
    return path


def test_cat_prints_json_lines(tmp_path: Path) -> None:
    """Every row is one line of JSON: bytes as hexadecimal digits, enums as names, NaN as null."""
    write(tmp_path, "1", decisions(0, 3))
    done = run(app, ["cat", str(tmp_path)])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [int(row["decision_id"], 16) for row in rows] == [0, 1, 2]
    assert (rows[0]["person_pseudonym"], rows[0]["reason"], rows[0]["candidate_propensity"]) == ("0102", "HELD_OUT", [0.25, None])


def test_cat_filters(tmp_path: Path) -> None:
    """--limit stops, --decision-id finds one or says that there is none, --stream reads the other log."""
    write(tmp_path, "1", decisions(0, 5))
    event = EventRecord(event_id="e1", kind=1, decision_id=f"{2:032x}")  # type: ignore[arg-type]
    write(tmp_path, "1", [event.SerializeToString()], stream=Stream.EVENT)
    assert len(run(app, ["cat", str(tmp_path), "--limit", "2"]).stdout.splitlines()) == 2
    found = run(app, ["cat", str(tmp_path), "--decision-id", f"{3:032x}"]).stdout
    assert int(json.loads(found)["decision_id"], 16) == 3
    assert json.loads(run(app, ["cat", str(tmp_path), "--stream", "event"]).stdout)["kind"] == "EXPOSURE"
    assert json.loads(run(app, ["cat", str(tmp_path), "--stream", "event", "--decision-id", f"{2:032x}"]).stdout)["event_id"] == "e1"
    missing = run(app, ["cat", str(tmp_path), "--decision-id", "no"])
    assert (missing.exit_code, "no decision in this log has decision_id no" in missing.stderr) == (2, True)


def test_cat_for_reading(tmp_path: Path) -> None:
    """--table gives a line a row, --one every candidate and input in words, and both at once are refused."""
    write(tmp_path, "1", decisions(0, 2))
    event = EventRecord(event_id="e1", kind=3, value=9.5, currency="EUR")  # type: ignore[arg-type]
    write(tmp_path, "1", [event.SerializeToString()], stream=Stream.EVENT)
    table = run(app, ["cat", str(tmp_path), "--table"]).stdout
    assert "2026-01-01T00:00:00.001Z" in table
    assert "held_out" in table
    assert "9.50 EUR" in run(app, ["cat", str(tmp_path), "--table", "--stream", "event"]).stdout
    full = run(app, ["cat", str(tmp_path), "--one", "--limit", "1"]).stdout
    for words in ("CONSENT_EXPIRED", "0.25", "context.channel", "app", "personalization", "P slot 1"):
        assert words in full
    assert run(app, ["cat", str(tmp_path), "--one", "--stream", "event"]).exit_code == 0
    assert run(app, ["cat", str(tmp_path), "--one", "--table"]).exit_code == 2


def test_verify_tells_clean_from_damaged_by_its_exit_code(tmp_path: Path) -> None:
    """0 and `whole` for a whole log; 1, the file and the missing records for one that is not."""
    write(tmp_path, "1", decisions(0, 3))
    clean = run(app, ["verify", str(tmp_path)])
    assert (clean.exit_code, "whole: 3 decisions in 1 file" in clean.stdout) == (0, True)
    assert json.loads(run(app, ["verify", str(tmp_path), "--json"]).stdout)["clean"] is True
    path = write(tmp_path, "2", decisions(10, 3), first=10)
    path.write_bytes(path.read_bytes()[:-1])
    damaged = run(app, ["verify", str(tmp_path)])
    assert damaged.exit_code == 1
    assert "cut at byte" in damaged.stdout
    assert f"missing: decision records 3 to 9 of writer {(b'w' * 16).hex()}" in damaged.stdout
    report = json.loads(run(app, ["verify", str(tmp_path), "--json"]).stdout)
    assert (report["clean"], report["gaps"][0]["first"], report["gaps"][0]["last"]) == (False, 3, 9)


@pytest.mark.parametrize("delete", [True, False])
def test_seal_ships_what_is_verified(tmp_path: Path, delete: bool) -> None:
    """Sealed and left-open segments become Parquet; segments move to `shipped` or go; the log stays whole; again is harmless."""
    write(tmp_path, "1", decisions(0, 3))
    write(tmp_path, "2", decisions(3, 4), first=3, suffix=".open")
    done = run(app, ["seal", str(tmp_path), *(["--delete"] if delete else [])])
    assert done.exit_code == 0, done.output
    assert "7 records of 2 segments" in done.stdout
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["decision-1.parquet", "decision-2.parquet"]
    assert len(list(tmp_path.glob("shipped/*.seg"))) == (0 if delete else 2)
    assert json.loads(run(app, ["verify", str(tmp_path), "--json"]).stdout)["records"] == {"decision": 7}
    again = run(app, ["seal", str(tmp_path), "--json"])
    assert (again.exit_code, json.loads(again.stdout)["segments"]) == (0, [])
    assert "nothing to seal: 2 files already in Parquet" in run(app, ["seal", str(tmp_path)]).stdout


def test_seal_leaves_the_living_alone(tmp_path: Path) -> None:
    """A segment whose writer holds its lock is neither mended nor sealed."""
    file = DiskStorage(tmp_path).create("decision-1.open")
    try:
        done = run(app, ["seal", str(tmp_path)])
        assert done.exit_code == 0
        assert "nothing to seal: 1 segment of a running server" in done.stdout
        assert [path.name for path in tmp_path.iterdir()] == ["decision-1.open"]
    finally:
        file.close()


def test_seal_keeps_a_damaged_segment(tmp_path: Path) -> None:
    """A damaged segment gives what is before the damage, stays where it is, and the exit code says so."""
    path = write(tmp_path, "1", decisions(0, 10))
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    done = run(app, ["seal", str(tmp_path), "--delete", "--json"])
    result = json.loads(done.stdout)["segments"][0]
    assert (done.exit_code, result["state"], result["records"]) == (1, "damaged", 9)
    assert path.exists()


def test_a_directory_that_is_not_there_is_a_wrong_command(tmp_path: Path) -> None:
    """Exit code 2 for a wrong argument."""
    assert run(app, ["verify", str(tmp_path / "nowhere")]).exit_code == 2


@pytest.mark.parametrize("words", [["cat"], ["verify"], ["verify", "--json"], ["seal"], ["seal", "--json"]])
def test_a_folder_without_a_log_is_a_wrong_command(tmp_path: Path, words: list[str]) -> None:
    """Exit code 2 and a clear word, as JSON where that was asked for: nothing is whole because nothing was read."""
    (tmp_path / "notes.txt").write_text("no log")
    done = run(app, [words[0], str(tmp_path), *words[1:]])
    said = json.loads(done.stderr)["error"] if "--json" in words else done.stderr
    assert (done.exit_code, f"no log in {tmp_path}" in said, done.stdout) == (2, True, "")


def test_one_of_a_thing_is_in_the_singular(tmp_path: Path) -> None:
    """One decision, one file, one record, one missing record."""
    write(tmp_path, "1", decisions(0, 1))
    assert "whole: 1 decision in 1 file\n" in run(app, ["verify", str(tmp_path)]).stdout
    write(tmp_path, "2", decisions(2, 1), first=2)
    assert "missing: decision record 1 of writer" in run(app, ["verify", str(tmp_path)]).stdout
    assert "2 records of 2 segments" in run(app, ["seal", str(tmp_path)]).stdout
    write(tmp_path, "3", decisions(3, 1), first=3)
    assert "1 record of 1 segment" in run(app, ["seal", str(tmp_path)]).stdout


@pytest.mark.parametrize("width", [80, 100, 160])
def test_ids_are_never_cut_on_a_terminal(tmp_path: Path, width: int) -> None:
    """On a terminal of 80 columns no line is longer and every decision id is whole, of decisions and of events; so on wider ones."""
    write(tmp_path, "1", decisions(0, 2))
    event = EventRecord(event_id="e" * 36, kind=1, decision_id=f"{1:032x}", offer_id="free-shipping-on-everything")  # type: ignore[arg-type]
    write(tmp_path, "1", [event.SerializeToString()], stream=Stream.EVENT)
    terminal = {"COLUMNS": str(width), "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"}
    for stream in ("decision", "event"):
        table = run(app, ["cat", str(tmp_path), "--table", "--stream", stream], env=terminal).stdout
        plain = re.sub(r"\x1b\[[0-9;]*m", "", table)
        assert f"{1:032x}" in plain
        assert "\N{HORIZONTAL ELLIPSIS}" not in plain
        assert max(map(len, plain.splitlines())) <= width
        assert ("event id" in plain or "arm" in plain) is (width == 160)


@pytest.mark.parametrize("command", ["cat", "verify", "seal"])
def test_help_teaches_by_example(command: str) -> None:
    """Every command's help shows at least one example and its exit codes."""
    text = run(app, [command, "--help"]).stdout
    assert "Example: liftgate log" in text
    assert "Exit codes: 0" in text
