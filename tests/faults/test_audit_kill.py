"""kill -9 in the middle of administrative acts: what was acknowledged is in the chain, and the chain is whole."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from liftgate.adapters.admin_client import AdminClient, CallFailed
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from liftgate.app.cli.audit import _kept_in_redis
from liftgate.record.audit_verify import read_audit, verify_audit
from tests.faults.serving import Serving
from tests.faults.versioned_bundle import write

KILLS = 3
PUBLISHED = 10
"""Acts after each reload, which starts a process and so takes a second."""
ACTS = 15
"""Acknowledged before a kill: two reloads and some of what follows them."""
TOKEN = "lg_kill"


def _kill_after(server: Serving, acknowledged: list[str], count: int) -> None:
    """Kill a server as soon as so many acts are acknowledged, however long that takes; the next is under way then."""
    until = time.monotonic() + 120
    while len(acknowledged) < count and time.monotonic() < until:
        time.sleep(0.001)
    server.kill()


@pytest.mark.slow
def test_no_acknowledged_act_is_lost(tmp_path: Path) -> None:
    """Three kills under a stream of reloads and publishes: every acknowledged act is on record, later chains name the killed."""
    operators = tmp_path / "operators.yaml"
    operators.write_text(f'operators:\n  eve: {{roles: [admin], token_sha256: "{token_hash(TOKEN)}"}}\n')
    for version in (1, 2):
        write(tmp_path / f"v{version}", version)
    current = tmp_path / "current"
    acknowledged: list[str] = []
    flags = ("--bundle", str(current), "--operators", str(operators))
    with EmbeddedValkey() as valkey:
        for kill in range(KILLS):
            if not current.exists():
                current.symlink_to("v1")
            with Serving(valkey.url, tmp_path / "log", *flags) as server, AdminClient(server.target, TOKEN, timeout_s=60) as admin:
                killer = threading.Thread(target=_kill_after, args=(server, acknowledged, len(acknowledged) + ACTS + 3 * kill))
                killer.start()
                count = 0
                while True:
                    count += 1
                    (tmp_path / "fresh").symlink_to(f"v{1 + count % 2}")
                    os.replace(tmp_path / "fresh", current)
                    reason = f"{kill}-{count}"
                    try:
                        (outcome,) = admin.reload(reason)
                        if outcome.result == "swapped":
                            acknowledged.append(reason)
                        for act in range(PUBLISHED):
                            admin.publish("shop", "a" * 64, "", f"{reason}-{act}")
                            acknowledged.append(f"{reason}-{act}")
                    except CallFailed:
                        break
                killer.join()
        heads = _kept_in_redis(valkey.url, None, [], False)
        verdict = verify_audit([tmp_path / "log" / "audit"], heads)
    assert verdict.findings == []
    assert len(heads) == len(verdict.chains) == KILLS
    assert len(acknowledged) >= ACTS * KILLS
    records = [record for _, record in read_audit(tmp_path / "log" / "audit")]
    assert set(acknowledged) <= {record.reason for record in records}
    # The first chain is named by the second, and so on: taking the first one away is found without Redis.
    first = min(records, key=lambda record: record.at_ms).writer_id
    for path in (tmp_path / "log" / "audit").glob(f"*{first.hex()}*"):
        path.unlink()
    assert [finding.chain for finding in verify_audit([tmp_path / "log" / "audit"]).findings] == [first.hex()]
