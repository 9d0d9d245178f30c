"""Is the audit chain whole? Finds every edited, removed, added or moved record, and names its file.

What lies in one directory proves itself but for the newest chains' ends: whoever may write the directory can cut those off, or write them
anew. That is found against heads that were kept elsewhere (Redis has them, an earlier `verify` printed them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liftgate.record.audit import Head, NotARecord, decode, mistakes_in, tips
from liftgate.record.frame import Damaged, Frame, Header, SegmentReader, Stream, is_interrupted_write
from liftgate.record.segment import BAD, OPEN, SEALED
from liftgate.v1.audit_pb2 import AuditHead, AuditRecord


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    file: str
    """Empty: no file of the directory holds it."""
    sequence: int | None
    """Of the record in its chain; None: the file or chain as a whole."""
    problem: str
    chain: str = ""
    """The writer's id, 32 hexadecimal digits."""

    def __str__(self) -> str:
        place = self.file or f"chain {self.chain}"
        return f"{place}: {self.problem}" if self.sequence is None else f"{place}, record {self.sequence}: {self.problem}"


@dataclass(slots=True)
class Chain:
    """One writer's records, as far as they can be read."""

    writer_id: bytes
    head: Head | None = None
    first_at_ms: int = 0
    last_at_ms: int = 0
    hashes: list[bytes] = field(default_factory=list)
    """By sequence."""


@dataclass(slots=True)
class AuditVerdict:
    """What `verify_audit` found."""

    chains: dict[bytes, Chain] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is worth knowing and not wrong."""
    files: int = 0

    @property
    def records(self) -> int:
        """How many records were read."""
        return sum(len(chain.hashes) for chain in self.chains.values())


@dataclass(frozen=True, slots=True)
class _Segment:
    path: Path
    header: Header


def verify_audit(directories: Iterable[Path], *kept: Mapping[bytes, Head]) -> AuditVerdict:
    """Read every record of the directories and hold it to its chain, and the chains to each other and to heads that were kept elsewhere.

    Chains of running writers are read as far as they are written. Raises OSError when a directory cannot be read.
    """
    verdict = AuditVerdict()
    named: list[tuple[str, AuditHead]] = []
    for writer_id, segments in _chains(directories, verdict).items():
        chain = verdict.chains[writer_id] = Chain(writer_id)
        before: AuditRecord | None = None
        for segment in segments:
            before = _walk(segment, chain, before, verdict, named)
    for file, head in named:
        _hold(verdict, head.writer_id, Head(head.sequence, head.hash), f"{file} names it")
    for writer_id, kept_head in sorted({pair for heads in kept for pair in heads.items()}):
        _hold(verdict, writer_id, kept_head, "the head that was kept elsewhere says so")
    return verdict


def read_audit(directory: Path) -> Iterator[tuple[str, AuditRecord]]:
    """Yield (file name, record) of every readable record, chain by chain in order. Verifies nothing."""
    for segments in _chains([directory], AuditVerdict()).values():
        for segment in segments:
            with segment.path.open("rb") as file:
                for frame in SegmentReader(file):
                    try:
                        yield segment.path.name, decode(frame.payload)
                    except NotARecord:
                        continue


def ends(directory: Path) -> dict[bytes, Head]:
    """Return where the directory's chains stand, without those that another names already. Reads first and last segments only."""
    chains: dict[bytes, Head] = {}
    named: list[AuditHead] = []
    for writer_id, segments in _chains([directory], AuditVerdict()).items():
        first = next(_frames(segments[0].path), None)
        for segment in reversed(segments):
            last = None
            for last in _frames(segment.path):  # noqa: B007  # only the last counts
                pass
            if last is not None:
                break
        try:
            if first is not None and last is not None:
                named += decode(first.payload).seen
                record = decode(last.payload)
                chains[writer_id] = Head(record.sequence, record.hash)
        except NotARecord:
            continue
    return tips(chains, named)


def _frames(path: Path) -> Iterator[Frame]:
    with path.open("rb") as file:
        yield from SegmentReader(file)


def _chains(directories: Iterable[Path], verdict: AuditVerdict) -> dict[bytes, list[_Segment]]:
    """Return each writer's segments in order of their first sequence; what cannot be read goes into the verdict."""
    found: dict[bytes, list[_Segment]] = defaultdict(list)
    for directory in directories:
        for path in sorted(entry for entry in directory.iterdir() if entry.suffix in (OPEN, SEALED, BAD)):
            verdict.files += 1
            try:
                segment = _segment(path, verdict)
            except FileNotFoundError:  # sealed meanwhile, under a new name
                segment = _segment(path.with_suffix(SEALED), verdict) if path.with_suffix(SEALED).exists() else None
            if segment is not None:
                found[segment.header.writer_id].append(segment)
    for segments in found.values():
        segments.sort(key=lambda one: (one.header.first_sequence, one.path.name))
    return dict(sorted(found.items()))


def _segment(path: Path, verdict: AuditVerdict) -> _Segment | None:
    if path.suffix == BAD:
        if is_interrupted_write(path.read_bytes()):
            verdict.notes.append(f"{path.name}: an interrupted write: part of a record of an act that did not happen")
        else:
            verdict.findings.append(Finding(path.name, None, "holds bytes that could not be read when a writer started"))
        return None
    if path.stat().st_size == 0:
        return None
    with path.open("rb") as file:
        try:
            header = SegmentReader(file).header
        except Damaged as cause:
            verdict.findings.append(Finding(path.name, None, f"its beginning was changed ({cause})"))
            return None
    if header.stream is not Stream.AUDIT:
        verdict.findings.append(Finding(path.name, None, f"is no audit segment but one of the {header.stream.label} log"))
        return None
    return _Segment(path, header)


def _walk(
    segment: _Segment, chain: Chain, before: AuditRecord | None, verdict: AuditVerdict, named: list[tuple[str, AuditHead]]
) -> AuditRecord | None:
    """Hold one segment's records to the chain and return the last."""
    name, writer_id = segment.path.name, chain.writer_id

    def wrong(sequence: int | None, problem: str) -> None:
        verdict.findings.append(Finding(name, sequence, problem, writer_id.hex()))

    expected = len(chain.hashes)
    first = segment.header.first_sequence
    if first > expected:
        missing = f"record {expected} is" if first == expected + 1 else f"records {expected} to {first - 1} are"
        wrong(first, f"{missing} missing before it")
        chain.hashes += [b""] * (first - expected)
    elif first < expected:
        wrong(first, "is there twice")
    with segment.path.open("rb") as file:
        reader = SegmentReader(file)
        for frame in reader:
            try:
                record = decode(frame.payload)
            except NotARecord as cause:
                wrong(frame.sequence, str(cause))
                chain.hashes.append(b"")
                continue
            # Behind a gap that is said already, nothing can be followed.
            follows = frame.sequence == 0 or (before is not None and before.sequence == frame.sequence - 1)
            for problem in mistakes_in(record, writer_id, frame.sequence, before if follows else _stand_in(record)):
                wrong(frame.sequence, problem)
            if frame.sequence == 0:
                chain.first_at_ms = record.at_ms
                named += ((f"record 0 of {name}", head) for head in record.seen)
            if frame.sequence == len(chain.hashes):
                chain.hashes.append(record.hash)
            chain.head, chain.last_at_ms, before = Head(record.sequence, record.hash), record.at_ms, record
    _rest(segment.path, reader, verdict, wrong)
    return before


def _stand_in(record: AuditRecord) -> AuditRecord:
    return AuditRecord(hash=record.previous_hash)


def _rest(path: Path, reader: SegmentReader, verdict: AuditVerdict, wrong: Callable[[int | None, str], None]) -> None:
    """Say what stands behind the last readable frame."""
    damage = reader.damage
    if damage is None:
        return
    with path.open("rb") as file:
        file.seek(damage.offset)
        tail = file.read()
    if path.suffix == OPEN and is_interrupted_write(tail):
        verdict.notes.append(f"{path.name}: ends in an interrupted write, or one that is under way")
    else:
        wrong(reader.next_sequence, f"cannot be read ({damage.cause} at byte {damage.offset}); nothing behind it can")


def _hold(verdict: AuditVerdict, writer_id: bytes, head: Head, because: str) -> None:
    """Hold a chain to a head that somebody noted."""
    chain, many = verdict.chains.get(writer_id), f"{head.sequence + 1} record{'s' if head.sequence else ''} or more"
    if chain is None:
        problem = f"the whole chain, {many}, is missing: {because}"
        verdict.findings.append(Finding("", None, problem, writer_id.hex()))
    elif head.sequence >= len(chain.hashes):
        problem = f"its end is cut off: it had {many}, {len(chain.hashes)} are left: {because}"
        verdict.findings.append(Finding("", None, problem, writer_id.hex()))
    elif chain.hashes[head.sequence] != head.hash:
        verdict.findings.append(Finding("", head.sequence, f"was another one: {because}", writer_id.hex()))
