"""From a log's directory alone: recovered records, records of several bundles, records whose bundle was not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.adapters.bundle_archive import archive_path, keep
from liftgate.adapters.explanation_from_log import LogExplanations
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.record.codec import mark_recovered
from liftgate.record.frame import Header, Stream, encode_frames
from liftgate.v1.record_pb2 import DecisionRecord

GOLDEN = Path(__file__).parents[1] / "cases" / "bundles" / "golden"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Return the bundle of the golden cases."""
    return load_bundle(GOLDEN)


def decision(number: int, digest: str) -> bytes:
    """Return a record in which `later` had not started."""
    return DecisionRecord(
        decision_id=f"{number:032x}",
        request_id="the-callers-own",
        person_pseudonym=b"\xfe\xed\xfa\xce",
        pseudonym_key_id="key-1",
        decided_at_ms=1_781_524_800_000,
        placement_id="calendar",
        bundle="golden",
        bundle_digest=digest,
        arm=1,  # type: ignore[arg-type]
        branch=4,  # type: ignore[arg-type]
        reason=62,  # type: ignore[arg-type]
        candidate_offer_id=["later"],
        candidate_reason=[21],  # type: ignore[list-item]
        candidate_propensity=[float("nan")],
        candidate_value=[float("nan")],
    ).SerializeToString()


def write(log: Path, *payloads: bytes) -> LogExplanations:
    """Write a log, and return its explanations."""
    log.mkdir(exist_ok=True)
    header = Header(Stream.DECISION, b"w" * 16, b"b" * 16, 0, 5).encode()
    (log / f"decision-{5:013d}-{'77' * 16}-000001.seg").write_bytes(header + encode_frames(payloads, 0))
    return LogExplanations(log)


def test_a_recovered_record_is_explained_and_says_so(bundle: Bundle, tmp_path: Path) -> None:
    """A record that another worker completed after a crash has the same explanation, marked as recovered."""
    keep(bundle, tmp_path)
    log = write(tmp_path, decision(1, bundle.digest), mark_recovered(decision(2, bundle.digest)))
    own, recovered = log.explain(f"{1:032x}"), log.explain(f"{2:032x}")
    assert own is not None
    assert recovered is not None
    assert (own.recovered, recovered.recovered) == (False, True)
    assert recovered.candidates[0].rule.startswith("bundle.yaml:")
    recovered.recovered, recovered.decision_id = False, own.decision_id
    assert own == recovered


def test_nothing_that_identifies_is_in_it(bundle: Bundle, tmp_path: Path) -> None:
    """Pseudonym, key and request id are in the record and not in its explanation."""
    keep(bundle, tmp_path)
    raw = write(tmp_path, decision(1, bundle.digest)).explain(f"{1:032x}")
    assert raw is not None
    encoded = raw.SerializeToString() + str(raw).encode()
    for secret in (b"\xfe\xed\xfa\xce", b"feedface", b"key-1", b"the-callers-own"):
        assert secret not in encoded


def test_a_damaged_archive_costs_the_rules_and_no_more(bundle: Bundle, tmp_path: Path) -> None:
    """The explanation names what is wrong with the archive; once that is mended the rules are there again."""
    path = archive_path(tmp_path, bundle.digest)
    log = write(tmp_path, decision(1, bundle.digest))
    path.parent.mkdir()
    path.write_text("{")
    for spoilt in ("{", None):
        if spoilt is None:
            path.unlink()
        found = log.explain(f"{1:032x}")
        assert found is not None
        assert path.name in found.caveats[0]
        assert (found.candidates[0].text, found.candidates[0].rule) == ("It has not started yet.", "")
    keep(bundle, tmp_path)
    mended = log.explain(f"{1:032x}")
    assert mended is not None
    assert (list(mended.caveats), mended.candidates[0].rules[0].text) == ([], "2026-07-01T00:00:00Z")


def test_only_a_few_bundles_are_remembered(tmp_path: Path) -> None:
    """Records of many bundles are explained by their own rules, and memory holds a few of these."""
    digests = []
    for year in range(2030, 2037):
        folder = tmp_path / f"bundle-{year}"
        folder.mkdir()
        for path in GOLDEN.glob("*.yaml"):
            (folder / path.name).write_text(path.read_text().replace("2026-07-01T00:00:00Z", f"{year}-07-01T00:00:00Z"))
        made = load_bundle(folder, GOLDEN / "models")
        keep(made, tmp_path / "log")
        digests.append(made.digest)
    log = write(tmp_path / "log", *(decision(number, digest) for number, digest in enumerate(digests)))
    for _ in range(2):
        for number, year in enumerate(range(2030, 2037)):
            found = log.explain(f"{number:032x}")
            assert found is not None
            assert found.candidates[0].rules[0].text == f"{year}-07-01T00:00:00Z"
    assert len(log._rulebooks) <= 4
