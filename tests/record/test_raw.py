"""Records read the fast way say what the generated code says, however their writers laid them out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from liftgate.record.codec import constant_part, controls_part
from liftgate.record.columnar import record_batch
from liftgate.record.frame import Frame, Header, Stream
from liftgate.v1.record_pb2 import CapRoom, DecisionRecord, SlotProbabilities

HEADER = Header(Stream.DECISION, b"w" * 16, b"b" * 16, 0, 0)


def record(i: int, placement: str, version: int, reason: int = 1) -> bytes:
    """Return one record as the codec lays it out: constants, columns, the rest."""
    front = constant_part(placement_id=placement, bundle="shop", candidate_offer_id=["a", "b"], purpose=["p"]) + controls_part(version)
    columns = DecisionRecord(candidate_reason=[reason, 1], candidate_propensity=[0.25, float("nan")])  # type: ignore[list-item]
    rest = DecisionRecord(
        decision_id=f"{i:032x}",
        slots=[SlotProbabilities(probability=[0.5, 0.5])] * (1 + i % 2),
        cap_room=[CapRoom(cap_id=b"c", room=i)] if i % 3 == 0 else [],
        offered=["a"] * (i % 2),
    )
    return front + columns.SerializeToString() + rest.SerializeToString()


def rows(payloads: Sequence[bytes]) -> list[dict[str, object]]:
    """Return the records of a segment as dicts, NaN as text so that it equals itself."""
    frames = [Frame(i, payload, 0) for i, payload in enumerate(payloads)]
    found: list[dict[str, object]] = record_batch(HEADER, frames).to_pylist()
    return [{name: repr(value) for name, value in row.items()} for row in found]


@pytest.mark.parametrize("reason", [1, 200])
def test_fronts_that_begin_alike_are_told_apart(reason: int) -> None:
    """Rows of several placements and versions of controls, one front the beginning of another, read as each alone does."""
    payloads = [record(i, ("home", "home.hero", "x")[i % 3], (1, 0, 7)[i % 5 % 3], reason) for i in range(60)]
    together = rows(payloads)
    for i, payload in enumerate(payloads):
        plain = DecisionRecord.FromString(payload)
        assert together[i]["controls_version"] == repr(plain.controls_version)
        assert together[i]["placement_id"] == repr(plain.placement_id)
        alone = rows([payload])[0]
        assert {**together[i], "sequence": ""} == {**alone, "sequence": ""}


def test_records_in_any_other_order_are_read_too() -> None:
    """A record as the generated code writes it, fields in order of number, and one with too many fronts, lose nothing."""
    payloads = [DecisionRecord.FromString(record(i, f"p{i}", i)).SerializeToString() for i in range(50)]
    assert [row["placement_id"] for row in rows(payloads)] == [repr(f"p{i}") for i in range(50)]
    assert [row["decision_id"] for row in rows(payloads)] == [repr(f"{i:032x}") for i in range(50)]
    many = [record(i, f"p{i}", i) for i in range(50)]
    assert [row["placement_id"] for row in rows(many)] == [repr(f"p{i}") for i in range(50)]
