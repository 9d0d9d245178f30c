"""The audit chain: any edit, removal or reorder is found and its file is named; a log without a chain does not notice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.record.audit import Head, NotARecord, decode, hash_of, seal
from liftgate.record.audit_verify import ends, verify_audit
from liftgate.record.frame import Stream
from liftgate.v1.audit_pb2 import AuditAct, AuditRecord
from tests.record.audit_chains import ONE, TWO, chain, frames_are_good, head_of, payloads, write

LENGTH = 6
Edit = Callable[[list[AuditRecord]], list[AuditRecord]]


def _field(name: str, value: Any) -> Edit:
    def edit(records: list[AuditRecord]) -> list[AuditRecord]:
        setattr(records[2], name, value)
        return records

    return edit


def _renumbered(records: list[AuditRecord]) -> list[AuditRecord]:
    """What a forger without patience does: numbers that fit, hashes that do not."""
    for sequence, record in enumerate(records):
        record.sequence = sequence
    return records


EDITS: dict[str, Edit] = {
    "actor": _field("actor", "eve"),
    "role": _field("role", "owner"),
    "time": _field("at_ms", 1),
    "act": _field("act", AuditAct.AUDIT_ACT_APPROVE),
    "subject": _field("subject", "offer:other"),
    "digest before": _field("digest_before", "f" * 64),
    "digest after": _field("digest_after", "f" * 64),
    "reason": _field("reason", "as agreed."),
    "sequence": _field("sequence", 9),
    "chain": _field("writer_id", TWO),
    "previous hash": _field("previous_hash", b"x" * 32),
    "hash": _field("hash", b"x" * 32),
    "one removed": lambda records: records[:2] + records[3:],
    "one removed, numbers mended": lambda records: _renumbered(records[:2] + records[3:]),
    "first removed": lambda records: records[1:],
    "first removed, numbers mended": lambda records: _renumbered(records[1:]),
    "two swapped": lambda records: [*records[:2], records[3], records[2], *records[4:]],
    "two swapped, numbers mended": lambda records: _renumbered([*records[:2], records[3], records[2], *records[4:]]),
    "one written twice": lambda records: [*records[:3], records[2], *records[3:]],
    "one put in": lambda records: [*records[:3], *chain(TWO, 1), *records[3:]],
    "reversed": lambda records: records[::-1],
}


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_is_found_by_the_chain_and_by_nothing_else(tmp_path: Path, name: str) -> None:
    """With checksums and frame numbers mended, the chain names file and record; the frames alone look whole."""
    path = write(tmp_path, ONE, payloads(EDITS[name](chain(ONE, LENGTH))))
    findings = verify_audit([tmp_path]).findings
    assert findings
    assert all(finding.file == path.name and finding.sequence is not None for finding in findings)
    assert frames_are_good(path)


def test_a_sound_chain_has_no_findings(tmp_path: Path) -> None:
    """Chains over one and over several segments, sealed and open, are whole."""
    records = chain(ONE, LENGTH)
    write(tmp_path, ONE, payloads(records[:2]))
    write(tmp_path, ONE, payloads(records[2:5]), 2)
    write(tmp_path, ONE, payloads(records[5:]), 5, ".open")
    write(tmp_path, TWO, payloads(chain(TWO, 3, {ONE: head_of(records)})))
    verdict = verify_audit([tmp_path], {ONE: head_of(records)})
    assert (verdict.findings, verdict.records) == ([], LENGTH + 3)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    """One byte of a payload, changed anywhere with its checksum mended, is found; the frames alone look whole."""
    raw = payloads(chain(ONE, 4))
    which = data.draw(st.integers(0, 3))
    at = data.draw(st.integers(0, len(raw[which]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != raw[which][at]))
    raw[which] = raw[which][:at] + bytes([byte]) + raw[which][at + 1 :]
    with tempfile.TemporaryDirectory() as scratch:
        path = write(Path(scratch), ONE, raw)
        assert [finding for finding in verify_audit([Path(scratch)]).findings if finding.file == path.name]
        assert frames_are_good(path)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from([".seg", ".open"]))
def test_any_changed_byte_of_the_file_is_found_with_the_head(place: int, byte: int, suffix: str) -> None:
    """One byte of the file, changed anywhere and nothing mended, is found, be it in a header, a frame or a record."""
    with tempfile.TemporaryDirectory() as scratch:
        records = chain(ONE, 4)
        path = write(Path(scratch), ONE, payloads(records), suffix=suffix)
        raw = bytearray(path.read_bytes())
        at = place % len(raw)
        # The boot id and the time of a segment are no part of any record; their change is a changed header.
        changed = raw[at] != byte
        raw[at] = byte
        path.write_bytes(raw)
        assert bool(verify_audit([Path(scratch)], {ONE: head_of(records)}).findings) == changed


@settings(max_examples=200, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 5), st.booleans())
def test_any_order_and_any_cut_but_the_true_one_is_found(order: list[int], kept: int, mended: bool) -> None:
    """Records in any other order, or fewer of them, are found with the head that was kept; the frames alone look whole."""
    records = chain(ONE, 5)
    head = {ONE: head_of(records)}
    shown = [records[index] for index in order[:kept]]
    true = order == list(range(5)) and kept == 5
    if mended:
        _renumbered(shown)
    with tempfile.TemporaryDirectory() as scratch:
        path = write(Path(scratch), ONE, payloads(shown)) if shown else None
        assert bool(verify_audit([Path(scratch)], head).findings) != true
        assert path is None or frames_are_good(path)


def test_a_cut_end_is_found_only_by_a_head_that_was_kept_elsewhere(tmp_path: Path) -> None:
    """Without a head the end of the newest chain can vanish; with it the loss is counted."""
    records = chain(ONE, LENGTH)
    write(tmp_path, ONE, payloads(records[:4]))
    assert verify_audit([tmp_path]).findings == []
    (finding,) = verify_audit([tmp_path], {ONE: head_of(records)}).findings
    assert "6 records or more, 4 are left" in str(finding)


def test_a_chain_written_anew_is_found_by_the_head(tmp_path: Path) -> None:
    """Who edits a record and mends every hash behind it is still found out by a head that was kept elsewhere."""
    records = chain(ONE, LENGTH)
    head = head_of(records)
    records[1].actor = "eve"
    for index in range(1, LENGTH):
        records[index].previous_hash = records[index - 1].hash
        seal(records[index])
    write(tmp_path, ONE, payloads(records))
    assert verify_audit([tmp_path]).findings == []
    (finding,) = verify_audit([tmp_path], {ONE: head}).findings
    assert "was another one" in str(finding)


def test_a_later_chain_vouches_for_the_ones_before(tmp_path: Path) -> None:
    """A chain that is removed, cut or written anew is found by the next chain's first record, with no store at all."""
    records = chain(ONE, LENGTH)
    write(tmp_path, TWO, payloads(chain(TWO, 1, {ONE: head_of(records)})))
    (missing,) = verify_audit([tmp_path]).findings
    assert "whole chain" in str(missing)
    path = write(tmp_path, ONE, payloads(records[:3]))
    (cut,) = verify_audit([tmp_path]).findings
    assert "cut off" in str(cut)
    path.unlink()
    forged = chain(ONE, LENGTH - 1)
    forged[-1].reason = "another"
    seal(forged[-1])
    last = AuditRecord(writer_id=ONE, sequence=LENGTH - 1, previous_hash=forged[-1].hash)
    seal(last)
    write(tmp_path, ONE, payloads([*forged, last]))
    (anew,) = verify_audit([tmp_path]).findings
    assert "was another one" in str(anew)


def test_a_missing_segment_is_a_gap(tmp_path: Path) -> None:
    """A segment taken out of the middle is missed, by the numbers of its records."""
    records = chain(ONE, LENGTH)
    write(tmp_path, ONE, payloads(records[:2]))
    write(tmp_path, ONE, payloads(records[4:]), 4)
    (finding,) = verify_audit([tmp_path]).findings
    assert "records 2 to 3 are missing" in str(finding)


def test_a_segment_from_elsewhere_is_found(tmp_path: Path) -> None:
    """A copy of a segment, another chain's records under this one's name, and a segment of another log are found."""
    records = chain(ONE, 2)
    path = write(tmp_path, ONE, payloads(records))
    copy = tmp_path / path.name.replace("-000001", "-000002")
    copy.write_bytes(path.read_bytes())
    assert any("is there twice" in str(finding) for finding in verify_audit([tmp_path]).findings)
    copy.unlink()
    write(tmp_path, TWO, payloads(records))
    assert any("belongs to another chain" in str(finding) for finding in verify_audit([tmp_path]).findings)
    write(tmp_path, TWO, [b"x"], stream=Stream.EVENT)
    assert any("no audit segment" in str(finding) for finding in verify_audit([tmp_path]).findings)


def test_a_write_under_way_is_no_finding(tmp_path: Path) -> None:
    """The last record of an open segment, cut anywhere, was never acknowledged: a note; of a sealed one it is a finding."""
    records = chain(ONE, 3)
    path = write(tmp_path, ONE, payloads(records), suffix=".open")
    whole, two = path.read_bytes(), len(write(tmp_path, TWO, payloads(records[:2])).read_bytes())
    (tmp_path / f"audit-1767225600000-{TWO.hex()}-000001.seg").unlink()
    for size in range(two + 1, len(whole)):
        path.write_bytes(whole[:size])
        verdict = verify_audit([tmp_path])
        assert (verdict.findings, len(verdict.notes)) == ([], 1)
    path.rename(path.with_suffix(".seg"))
    assert verify_audit([tmp_path]).findings


def test_nothing_of_a_record_lies_outside_its_hash() -> None:
    """An unknown field, a repeated field and bytes in another order are refused, and every field moves the hash."""
    record = chain(ONE, 1, {TWO: Head(3, b"h" * 32)})[0]
    raw = record.SerializeToString(deterministic=True)
    assert decode(raw) == record
    for changed in (raw + b"\xf8\x01\x01", raw + raw, b"\xff" + raw):
        with pytest.raises(NotARecord):
            decode(changed)
    moved = set()
    for descriptor in AuditRecord.DESCRIPTOR.fields:
        without = AuditRecord()
        without.CopyFrom(record)
        without.ClearField(descriptor.name)
        if descriptor.name not in ("hash", "previous_hash", "sequence"):  # the last two are empty in a first record
            moved.add(hash_of(without) != record.hash)
    assert moved == {True}


def test_texts_cannot_flow_into_one_another() -> None:
    """Lengths stand before the parts: `a` + `bc` and `ab` + `c` are two hashes."""
    one, other = AuditRecord(actor="a", role="bc"), AuditRecord(actor="ab", role="c")
    assert hash_of(one) != hash_of(other)


def test_ends_names_what_no_other_chain_names_yet(tmp_path: Path) -> None:
    """The next chain has to name the newest heads only; those name the older ones."""
    first = chain(ONE, 2)
    write(tmp_path, ONE, payloads(first))
    assert ends(tmp_path) == {ONE: head_of(first)}
    second = chain(TWO, 1, ends(tmp_path))
    write(tmp_path, TWO, payloads(second))
    assert ends(tmp_path) == {TWO: head_of(second)}
