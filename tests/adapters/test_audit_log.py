"""The audit chain as it is written: durable before it is acknowledged, unbroken through full disks, its head kept besides."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from liftgate.adapters.audit_log import AuditLog, audit_segments
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_audit import RedisHeads, kept_heads
from liftgate.adapters.redis_client import connect
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.adapters.system import SystemClock
from liftgate.domain.errors import LogUnavailable, StoreUnavailable
from liftgate.pipeline.audit import Act, AuditAct
from liftgate.record.audit import Head
from liftgate.record.audit_verify import read_audit, verify_audit
from liftgate.record.storage import DiskFile, DiskStorage, SyncFailed


def act(number: int = 0) -> AuditAct:
    """Return an act."""
    return AuditAct(Act.KILL, "ada", "operator", f"offer:{number}", "", "f" * 64, "complaints")


class FailingStorage(DiskStorage):
    """A disk whose files can be told to fail."""

    full = unsynced = False

    def create(self, name: str) -> DiskFile:
        """See Storage."""
        disk, file = self, super().create(name)
        write, sync = file.write, file.sync

        def failing_write(data: bytes) -> int:
            if disk.full:
                raise OSError(errno.ENOSPC, "full")
            return write(data)

        def failing_sync() -> None:
            if disk.unsynced:
                raise SyncFailed(errno.EIO, "lost")
            sync()

        file.write, file.sync = failing_write, failing_sync  # type: ignore[method-assign]
        return file


def chain_in(log: Path, storage: DiskStorage | None = None) -> tuple[AuditLog, SegmentLog]:
    """Return a chain and the open log under it."""
    segments = audit_segments(log, SystemClock(), storage=storage)
    segments.open()
    return AuditLog(segments, log / "audit", SystemClock()), segments


async def test_acts_at_once_form_one_sound_chain(tmp_path: Path) -> None:
    """Sixty-four acts that arrive together are one chain without findings, each on disk when it is acknowledged."""
    audit, segments = chain_in(tmp_path)
    await asyncio.gather(*(audit.append(act(number)) for number in range(64)))
    verdict = verify_audit([tmp_path / "audit"])
    assert (verdict.findings, verdict.records) == ([], 64)
    await audit.close()
    await segments.close()
    assert {record.subject for _, record in read_audit(tmp_path / "audit")} == {f"offer:{number}" for number in range(64)}


async def test_a_new_chain_names_the_old_one(tmp_path: Path) -> None:
    """After a restart, the loss of the whole earlier chain is found from the later one alone."""
    for number in range(3):
        audit, segments = chain_in(tmp_path)
        await audit.append(act(number))
        await audit.close()
        await segments.close()
    assert verify_audit([tmp_path / "audit"]).findings == []
    firsts = {record.subject: record for _, record in read_audit(tmp_path / "audit")}
    assert [len(firsts[f"offer:{number}"].seen) for number in range(3)] == [0, 1, 1]
    lost = next((tmp_path / "audit").glob(f"*{firsts['offer:0'].writer_id.hex()}*"))
    lost.unlink()
    (finding,) = verify_audit([tmp_path / "audit"]).findings
    assert firsts["offer:0"].writer_id.hex() == finding.chain


async def test_a_full_disk_refuses_the_act_and_does_not_break_the_chain(tmp_path: Path) -> None:
    """While the disk is full nothing is acknowledged; with room again the chain goes on where it was."""
    storage = FailingStorage(tmp_path / "audit")
    audit, segments = chain_in(tmp_path, storage)
    await audit.append(act(0))
    storage.full = True
    for _ in range(2):
        with pytest.raises(LogUnavailable):
            await audit.append(act(1))
    storage.full = False
    await audit.append(act(2))
    await audit.close()
    await segments.close()
    verdict = verify_audit([tmp_path / "audit"])
    assert (verdict.findings, verdict.records) == ([], 2)


async def test_a_failed_sync_refuses_this_act_and_every_later_one(tmp_path: Path) -> None:
    """What may not be on stable storage is not acknowledged, and nothing is chained to it."""
    storage = FailingStorage(tmp_path / "audit")
    audit, segments = chain_in(tmp_path, storage)
    await audit.append(act(0))
    storage.unsynced = True
    with pytest.raises(LogUnavailable):
        await audit.append(act(1))
    storage.unsynced = False
    with pytest.raises(LogUnavailable):
        await audit.append(act(2))
    assert not segments.healthy
    await audit.close()
    await segments.close()


async def test_a_cancelled_caller_leaves_the_chain_whole(tmp_path: Path) -> None:
    """An act whose caller hung up while it was synced stays in the chain, and the next one follows it."""
    audit, segments = chain_in(tmp_path)
    await audit.append(act(0))
    hasty = asyncio.create_task(audit.append(act(1)))
    await asyncio.sleep(0)
    hasty.cancel()
    await audit.append(act(2))
    await audit.close()
    await segments.close()
    verdict = verify_audit([tmp_path / "audit"])
    assert (verdict.findings, verdict.records) == ([], 3)


async def test_the_head_in_redis_finds_a_removed_chain(tmp_path: Path) -> None:
    """The head is kept after the act; with the chain's files gone it says that records are missing."""
    with EmbeddedValkey() as valkey:
        client = connect(valkey.url, 2_000)
        segments = audit_segments(tmp_path, SystemClock())
        segments.open()
        audit = AuditLog(segments, tmp_path / "audit", SystemClock(), RedisHeads(client, "host", "log"))
        for number in range(5):
            await audit.append(act(number))
        await audit.close()
        await segments.close()
        kept, wrong = await kept_heads(client)
        await client.close()
    assert wrong == 0
    heads = {writer_id: one.head for writer_id, one in kept.items()}
    (one,) = heads.values()
    assert one.sequence == 4
    assert verify_audit([tmp_path / "audit"], heads).findings == []
    for path in (tmp_path / "audit").iterdir():
        path.unlink()
    (finding,) = verify_audit([tmp_path / "audit"], heads).findings
    assert "5 records or more" in str(finding)


async def test_an_act_does_not_wait_for_redis_and_its_head_is_made_up_for(tmp_path: Path) -> None:
    """A keeper that is away delays nothing; once it is back, the next look hands over the newest head."""
    said: list[str] = []

    class Away:
        away = True
        heads: list[Head] = []  # noqa: RUF012

        async def put(self, writer_id: bytes, head: Head) -> None:
            """See audit_log.Heads."""
            if self.away:
                raise StoreUnavailable("switched off")
            self.heads.append(head)

    away = Away()
    segments = audit_segments(tmp_path, SystemClock())
    segments.open()
    audit = AuditLog(segments, tmp_path / "audit", SystemClock(), away, lambda event, fields: said.append(event))
    await audit.append(act(0))
    await audit.append(act(1))
    await asyncio.sleep(0.01)
    assert "audit_head_not_kept" in said
    away.away = False
    audit.keep()
    await audit.close()
    await segments.close()
    assert [head.sequence for head in away.heads] == [1]
