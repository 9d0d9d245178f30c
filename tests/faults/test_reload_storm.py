"""A thousand reloads under load: every answer and every record is of one version throughout, and no call is dropped."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.operators import token_hash
from liftgate.bundle.load import load_bundle
from liftgate.pipeline.live import Live
from liftgate.record.audit_verify import verify_audit
from liftgate.record.parquet import read_log
from liftgate.v1.admin_service_pb2 import ReloadRequest, ReloadResponse, ReloadResult
from liftgate.v1.decision_pb2 import Context, DecideRequest, DecideResponse
from tests.e2e.front import DECIDE, front
from tests.faults.serving import Serving, decide_stub
from tests.faults.versioned_bundle import in_answer, in_record, write

RELOADS = {"native": 700, "grpcio": 300}
FULL = os.environ.get("LIFTGATE_TEST_RELOADS") == "all"
LONGEST_S = 15.0
"""Of one transport, unless LIFTGATE_TEST_RELOADS=all: a loaded machine then makes fewer reloads."""
FEWEST = 20
CALLERS = 4
TOKEN = "lg_storm"


def ask(person: str) -> DecideRequest:
    """Return a request that concerns every part of the bundle."""
    return DecideRequest(person_id=person, placement_id="home", context=Context(channel="web"), explain=True)


@pytest.mark.slow
@pytest.mark.timeout(3_600 if FULL else 600)
@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_a_thousand_reloads_mix_nothing_and_drop_nothing(transport: str, tmp_path: Path) -> None:
    """Up to 1,000 reloads over both transports, every tenth of a broken bundle, under load: 0 mixed, 0 dropped, 0 errors."""
    reloads = RELOADS[transport]
    operators = tmp_path / "operators.yaml"
    operators.write_text(f'operators:\n  storm: {{roles: [admin], token_sha256: "{token_hash(TOKEN)}"}}\n')
    current = tmp_path / "current"

    def lead_to(folder: Path) -> None:
        (tmp_path / "fresh").symlink_to(folder.name)
        os.replace(tmp_path / "fresh", current)

    lead_to(write(tmp_path / "v1", 1))
    versions = {load_bundle(tmp_path / "v1").digest: 1}
    answers: list[DecideResponse] = []
    calls = 0
    resident: list[int] = []
    budgets = ("--fetch-budget-ms", "5000", "--reserve-budget-ms", "5000")
    flags = (*budgets, "--transport", transport, "--bundle", str(current), "--operators", str(operators), "--log-level", "warning")
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log", *flags) as server:
        stop = asyncio.Event()
        async with grpc.aio.insecure_channel(server.target) as channel, grpc.aio.insecure_channel(server.target) as admin:
            decide = decide_stub(channel)
            reload = admin.unary_unary("/liftgate.v1.AdminService/Reload", ReloadRequest.SerializeToString, ReloadResponse.FromString)

            async def caller(number: int) -> None:
                nonlocal calls
                while not stop.is_set():
                    calls += 1
                    # An error status would raise, and end the test.
                    answers.append(await decide(ask(f"person-{number}-{calls}"), timeout=30))

            callers = [asyncio.create_task(caller(number)) for number in range(CALLERS)]
            in_force, began = 1, time.monotonic()
            for version in range(2, reloads + 2):
                broken = version % 10 == 0
                folder = await asyncio.to_thread(write, tmp_path / f"v{version}", version)
                if broken:
                    (folder / "offers.yaml").write_text("offers: {broken\n")
                lead_to(folder)
                said = await reload(ReloadRequest(reason="storm"), timeout=60, metadata=(("authorization", f"Bearer {TOKEN}"),))
                (worker,) = said.workers
                if broken:
                    assert worker.result == ReloadResult.RELOAD_RESULT_REFUSED
                    assert worker.mistakes[0].file == "offers.yaml"
                    assert versions[said.bundle_digest] == in_force
                else:
                    assert worker.result == ReloadResult.RELOAD_RESULT_SWAPPED, worker
                    in_force = version
                    versions[said.bundle_digest] = version
                if version > 4:
                    await asyncio.to_thread(shutil.rmtree, tmp_path / f"v{version - 3}")
                if version - 1 in (FEWEST, reloads):
                    resident.append(_resident_mb(server))
                if not FULL and version > FEWEST and time.monotonic() - began > LONGEST_S:
                    reloads = version - 1
                    break
            took_s = time.monotonic() - began
            stop.set()
            await asyncio.gather(*callers)
        assert server.terminate() == 0
    assert len(answers) == calls
    assert {len(in_answer(answer, versions)) for answer in answers} == {1}
    seen = {in_answer(answer, versions).pop() for answer in answers}
    rows = {row["decision_id"]: row for row in read_log(tmp_path / "log", "decision")}
    assert rows.keys() == {answer.decision_id for answer in answers}
    assert {len(in_record(row, versions)) for row in rows.values()} == {1}
    assert all(in_record(rows[answer.decision_id], versions) == in_answer(answer, versions) for answer in answers)
    # The load must have met many of the versions, or nothing was tested.
    assert len(seen) > reloads // 4
    chain = verify_audit([tmp_path / "log" / "audit"])
    assert (chain.findings, chain.records) == ([], reloads - (reloads + 1) // 10)
    print(f"{transport}: {reloads} reloads in {took_s:.1f} s, {calls} calls met {len(seen)} versions, resident MB {resident}")


def _resident_mb(server: Serving) -> int:
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


async def test_parts_of_two_versions_are_seen(tmp_path: Path) -> None:
    """The control arm: a worker that swaps part by part gives answers and records that speak of two versions."""
    one, two = (load_bundle(write(tmp_path / f"v{version}", version)) for version in (1, 2))
    versions = {one.digest: 1, two.digest: 2}
    whole, torn = Live(one, OnnxModels.load(one)), Live(replace(one, digest=two.digest), OnnxModels.load(one))
    for live, found in ((whole, {1}), (torn, {1, 2})):

        def in_force(live: Live = live) -> Live:
            return live

        async with front("native", tmp_path / f"log-{len(found)}", in_force=in_force) as served:
            for number in range(20):
                answer = DecideResponse.FromString(await served.call(DECIDE, ask(f"person-{number}")))
                if answer.slots:
                    assert in_answer(answer, versions) == found
        rows = list(read_log(tmp_path / f"log-{len(found)}", "decision"))
        assert len(rows) == 20
        assert all(in_record(row, versions) == found for row in rows)
