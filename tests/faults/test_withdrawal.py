"""A withdrawal holds: once Set has answered, no decision on any worker goes by the old consent, however busy the service is."""

from __future__ import annotations

from pathlib import Path

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from tests.bench.withdrawal import BUNDLE, CONNECTIONS, rounds
from tests.faults.serving import Serving

COUNT = 15


async def test_a_withdrawal_holds_on_every_worker(tmp_path: Path) -> None:
    """Two workers under load: of all decisions asked for after a withdrawal was answered none goes by the grant before it."""
    flags = ("--bundle", str(BUNDLE), "--workers", "2", "--fetch-budget-ms", "10000")
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log", *flags) as server:
        seen = await rounds(server.target, COUNT, callers=4)
        assert len(seen.refused) == COUNT
        assert seen.asked_after >= COUNT * CONNECTIONS * 3
        assert seen.late_yes == 0
        assert seen.yes >= COUNT, "the grant had been seen to hold, so a late yes would be"
        assert seen.load > 0
