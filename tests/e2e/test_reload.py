"""Hot reload under load, over both transports: one bundle a decision, nothing dropped, a bad bundle changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from pathlib import Path

import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideRequest
from tests.faults.serving import BUNDLE, Serving, decide_stub

RELOADS = 12
ANSWERS = 64
"""Answers awaited after each reload before the next change."""
DONE = re.compile(r'"event": ?"(?:reloaded|reload_unchanged|reload_refused)"')
"""One line for each reload that has ended."""


def _write(folder: Path, version: int) -> None:
    """Write the golden bundle with its version in the payload and in the value of one offer."""
    text = (BUNDLE / "bundle.yaml").read_text(encoding="utf-8")
    text = text.replace("plain: {value: 1.0, payload: {title: Plain}}", f"plain: {{value: {version}.0, payload: {{title: v{version}}}}}")
    fresh = folder / "bundle.yaml.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(folder / "bundle.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_reloads_under_load_mix_nothing_and_drop_nothing(transport: str, tmp_path: Path) -> None:
    """Twelve reloads under load, every third of a broken bundle: each answer and record is of one version throughout, no call fails."""
    folder = tmp_path / "bundle"
    shutil.copytree(BUNDLE, folder)
    _write(folder, 1)
    flags = ("--transport", transport, "--fetch-budget-ms", "2000", "--reserve-budget-ms", "2000", "--bundle", str(folder))
    seen: dict[str, tuple[str, str, float]] = {}
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log", *flags) as server:
        stop = asyncio.Event()
        async with grpc.aio.insecure_channel(server.target) as channel:
            call = decide_stub(channel)

            async def caller(number: int) -> None:
                count = 0
                while not stop.is_set():
                    count += 1
                    answer = await call(DecideRequest(person_id=f"person-{number}-{count}", placement_id="one"), timeout=10)
                    if answer.slots and not answer.slots[0].is_default:
                        title = json.loads(answer.slots[0].payload_json)["title"]
                        seen[answer.decision_id] = (answer.bundle_digest, title, answer.slots[0].value)

            callers = [asyncio.create_task(caller(number)) for number in range(8)]
            for reload in range(RELOADS):
                if reload % 3 == 2:
                    (folder / "bundle.yaml").write_text("bundle: [broken\n", encoding="utf-8")
                else:
                    _write(folder, 2 + reload)
                assert server.process is not None
                os.kill(server.process.pid, signal.SIGHUP)
                # The next change waits for this one: a reload reads what is there when it reads.
                while len(DONE.findall(server.output.read_text(encoding="utf-8"))) <= reload:
                    await asyncio.sleep(0.01)
                before = len(seen)
                while len(seen) < before + ANSWERS:
                    await asyncio.sleep(0.01)
            stop.set()
            await asyncio.gather(*callers)
        assert server.terminate() == 0
    versions = {digest: title for digest, title, _ in seen.values()}
    assert len(versions) >= RELOADS - RELOADS // 3
    assert all(versions[digest] == title == f"v{value:.0f}" for digest, title, value in seen.values())
    rows = {row["decision_id"]: row for row in read_log(tmp_path / "log", "decision")}
    for decision_id, (digest, _, value) in seen.items():
        row = rows[decision_id]
        assert row["bundle_digest"] == digest
        assert row["candidate_value"][0] == value
    assert server.output.read_text(encoding="utf-8").count('"reload_refused"') == RELOADS // 3
