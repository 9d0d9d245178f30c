"""AdminService over both transports, with a scripted worker behind it: who may, what is answered, and what is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from liftgate.adapters.fleet import MOST_MISTAKES, Outcome, Reported, WorkerState, most
from liftgate.adapters.grpc_admin import AdminService
from liftgate.adapters.grpc_service import Handler
from liftgate.adapters.operators import Operators, token_hash
from liftgate.adapters.redis_published import Published
from liftgate.adapters.system import SystemClock
from liftgate.adapters.transports import Transport
from liftgate.bundle.mistake import Mistake
from liftgate.domain.errors import LogUnavailable, StoreUnavailable
from liftgate.pipeline.audit import Act, AuditAct
from liftgate.v1 import admin_service_pb2 as pb
from tests.adapters.shop import live
from tests.e2e.front import Front, Watcher, front

STATUS, RELOAD, PUBLISH = (f"/liftgate.v1.AdminService/{name}" for name in ("GetStatus", "Reload", "Publish"))
ADA, BEN = "lg_ada", "lg_ben"
DIGEST = "a" * 64
STATE = WorkerState("w" * 16, "host", 7, 7420, "native", "1", "shop", DIGEST, 5)


@dataclass
class Scripted:
    """Stands for the worker, the fleet, the chain and the announcements."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    outcomes: Sequence[Outcome] = ()
    others: Sequence[Reported] = ()
    away: bool = False
    full: bool = False
    acts: list[AuditAct] = field(default_factory=list)
    announced: list[tuple[str, Published]] = field(default_factory=list)

    async def reload(self, actor: str, role: str, reason: str) -> Sequence[Outcome]:
        """See grpc_admin.Reload."""
        self.asked.append((actor, role, reason))
        return self.outcomes

    async def read(self) -> Sequence[Reported]:
        """See grpc_admin.Fleet."""
        if self.away:
            raise StoreUnavailable("switched off")
        return self.others

    async def announce(self, digest: str, published: Published) -> None:
        """See grpc_admin.Announcements."""
        if self.away:
            raise StoreUnavailable("switched off")
        self.announced.append((digest, published))

    async def append(self, act: AuditAct) -> None:
        """See pipeline.audit.Audit."""
        if self.full:
            raise LogUnavailable("switched off")
        self.acts.append(act)


@dataclass
class Admin:
    """A server and what stands behind its AdminService."""

    front: Front
    behind: Scripted

    async def call(self, path: str, body: pb.ReloadRequest | pb.PublishRequest | pb.GetStatusRequest | bytes, token: str = ADA) -> bytes:
        """Call as the holder of a token."""
        return await self.front.call(path, body, metadata=(("authorization", f"Bearer {token}"),) if token else ())

    async def failure(self, path: str, body: pb.ReloadRequest | pb.PublishRequest | bytes = b"", token: str = ADA) -> tuple[str, str]:
        """Return status and message of a call that is expected to fail."""
        failed = await self.front.failure(path, body, metadata=(("authorization", f"Bearer {token}"),) if token else ())
        return failed.code, failed.message


@pytest.fixture
async def admin(transport: Transport, tmp_path: Path) -> AsyncIterator[Admin]:
    """An admin and somebody without a role, over each transport."""
    path = tmp_path / "operators.yaml"
    entries = [
        f'  {name}: {{roles: {roles}, token_sha256: "{token_hash(token)}"}}\n'
        for name, roles, token in (("ada", "[admin]", ADA), ("ben", "[]", BEN))
    ]
    path.write_text("operators:\n" + "".join(entries))
    behind, shop = Scripted(), live()

    def services(watcher: Watcher) -> Mapping[str, Mapping[str, Handler]]:
        service = AdminService(lambda: shop, lambda: STATE, behind.reload, behind, behind, Operators(path), behind, SystemClock(), watcher)
        return {"liftgate.v1.AdminService": service.handlers()}

    async with front(transport, tmp_path / "log", more=services) as served:
        yield Admin(served, behind)


async def test_who_may_do_what(admin: Admin) -> None:
    """Without a token, with a strange one and without the role nothing is done, on every method; any operator may ask for the status."""
    for path in (STATUS, RELOAD, PUBLISH):
        assert (await admin.failure(path, token=""))[0] == "UNAUTHENTICATED"
        assert (await admin.failure(path, token="lg_strange"))[0] == "UNAUTHENTICATED"
    for path in (RELOAD, PUBLISH):
        assert (await admin.failure(path, token=BEN))[0] == "PERMISSION_DENIED"
        assert (await admin.failure(path, b"\xff"))[0] == "INVALID_ARGUMENT"
    assert (admin.behind.asked, admin.behind.acts) == ([], [])
    assert pb.GetStatusResponse.FromString(await admin.call(STATUS, b"", BEN)).bundle_digest == DIGEST


async def test_the_status_shows_the_fleet_and_whether_it_agrees(admin: Admin) -> None:
    """Every worker is listed, this one as it is now; two digests disagree; without Redis this worker alone is shown and nothing agrees."""
    other = replace(STATE, worker_id="o" * 16, digest="b" * 64)
    admin.behind.others = [Reported(replace(STATE, digest="old"), 4_000), Reported(other, 300)]
    said = pb.GetStatusResponse.FromString(await admin.call(STATUS, pb.GetStatusRequest()))
    assert [(one.bundle_digest, one.silent_ms) for one in said.fleet] == [(DIGEST, 0), ("b" * 64, 300)]
    assert not said.fleet_agrees
    assert [model.model for model in said.models] == [model.name for model in live().bundle.models]
    admin.behind.others = [Reported(STATE, 0)]
    assert pb.GetStatusResponse.FromString(await admin.call(STATUS, b"")).fleet_agrees
    admin.behind.away = True
    alone = pb.GetStatusResponse.FromString(await admin.call(STATUS, b""))
    assert (alone.worker.worker_id, len(alone.fleet), alone.fleet_agrees) == (STATE.worker_id, 0, False)


async def test_a_reload_answers_what_each_worker_said(admin: Admin) -> None:
    """A refusal is an answer with every mistake, at its file and line, however many there are."""
    mistakes = [Mistake("offers.yaml", line, f"offers.o{line}", "is wrong", "mend it") for line in range(1, MOST_MISTAKES + 100)]
    admin.behind.outcomes = [
        Outcome("w" * 16, "refused", 9, DIGEST, DIGEST, "ada", most(mistakes)),
        Outcome("", "unknown", 0, "", "", "", (), "worker 1 did not answer"),
    ]
    said = pb.ReloadResponse.FromString(await admin.call(RELOAD, pb.ReloadRequest(reason="spring")))
    first, second = said.workers
    assert admin.behind.asked == [("ada", "admin", "spring")]
    assert (first.result, second.result) == (pb.RELOAD_RESULT_REFUSED, pb.RELOAD_RESULT_UNKNOWN)
    assert [(one.file, one.line) for one in first.mistakes][:2] == [("offers.yaml", 1), ("offers.yaml", 2)]
    assert (len(first.mistakes), "100 more" in first.mistakes[-1].problem) == (MOST_MISTAKES, True)
    assert (await admin.failure(RELOAD, pb.ReloadRequest(reason="x" * 1025)))[0] == "INVALID_ARGUMENT"


async def test_publishing_names_the_author_by_their_token(admin: Admin) -> None:
    """The act is on record before the author is announced; without a record nothing is announced; a wrong request is told its fields."""
    request = pb.PublishRequest(bundle="shop", bundle_digest=DIGEST, previous_digest="b" * 64, reason="spring")
    assert pb.PublishResponse.FromString(await admin.call(PUBLISH, request)).author == "ada"
    ((digest, published),) = admin.behind.announced
    assert (digest, published.author, published.reason, published.previous_digest) == (DIGEST, "ada", "spring", "b" * 64)
    assert admin.behind.acts == [AuditAct(Act.PUBLISH, "ada", "admin", "bundle:shop", "b" * 64, DIGEST, "spring")]
    admin.behind.full = True
    assert (await admin.failure(PUBLISH, request))[0] == "UNAVAILABLE"
    assert len(admin.behind.announced) == 1
    admin.behind.full, admin.behind.away = False, True
    code, message = await admin.failure(PUBLISH, request)
    assert (code, "Redis" in message) == ("UNAVAILABLE", True)
    wrong = await admin.front.failure(PUBLISH, pb.PublishRequest(previous_digest="x"), metadata=(("authorization", f"Bearer {ADA}"),))
    assert (wrong.code, wrong.paths) == ("INVALID_ARGUMENT", ["bundle", "bundle_digest", "previous_digest", "reason"])
