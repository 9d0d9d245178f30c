"""`liftgate log` as a person or a script sees it."""

from __future__ import annotations

import json
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
    assert (clean.exit_code, "whole: 3 decisions in 1 files" in clean.stdout) == (0, True)
    assert json.loads(run(app, ["verify", str(tmp_path), "--json"]).stdout)["clean"] is True
    path = write(tmp_path, "2", decisions(10, 3), first=10)
    path.write_bytes(path.read_bytes()[:-1])
    damaged = run(app, ["verify", str(tmp_path)])
    assert damaged.exit_code == 1
    assert "cut at byte" in damaged.stdout
    assert "records 3 to 9" in damaged.stdout
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


def test_seal_leaves_the_living_alone(tmp_path: Path) -> None:
    """A segment whose writer holds its lock is neither mended nor sealed."""
    file = DiskStorage(tmp_path).create("decision-1.open")
    try:
        done = run(app, ["seal", str(tmp_path)])
        assert done.exit_code == 0
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


@pytest.mark.parametrize("command", ["cat", "verify", "seal"])
def test_help_teaches_by_example(command: str) -> None:
    """Every command's help shows at least one example and its exit codes."""
    text = run(app, [command, "--help"]).stdout
    assert "Example: liftgate log" in text
    assert "Exit codes: 0" in text
