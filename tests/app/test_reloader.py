"""A worker's reload: recorded before it happens, one at a time, and nothing half done whatever fails."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.operators import Operators, token_hash
from liftgate.adapters.system import SystemClock
from liftgate.adapters.telemetry import Telemetry
from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import Page
from liftgate.app.loading import Found, found
from liftgate.app.logging import start_logging
from liftgate.app.reload import Reloader
from liftgate.bundle.load import load_bundle
from liftgate.domain.errors import BadInput, LogUnavailable
from liftgate.pipeline.audit import AuditAct
from liftgate.pipeline.live import Live
from tests.app.conftest import SMALL


@dataclass
class Chain:
    """An audit chain that can be full, and that sees what is in force while it is asked."""

    worker: Worker
    full: bool = False
    acts: list[tuple[AuditAct, str]] = field(default_factory=list)

    async def append(self, act: AuditAct) -> None:
        """See pipeline.audit.Audit."""
        if self.full:
            raise LogUnavailable("switched off")
        self.acts.append((act, self.worker.live.bundle.digest))


class Worker:
    """What a Reloader works on."""

    def __init__(self, folder: Path, operators: Path) -> None:
        self.folder = folder
        self.live = self.load()
        self.chain = Chain(self)
        self.before_load: Callable[[], None] = lambda: None
        self.page = Page(LAYOUT)
        self.operators = Operators(operators)
        self.reloader = Reloader(
            "w" * 16,
            self._slow_read,
            lambda: self.live,
            self._swap,
            self.operators,
            self.chain,
            Telemetry(self.page),
            SystemClock(),
            start_logging("error"),
            True,
        )

    def load(self) -> Live:
        """Load the folder as it is."""
        bundle = load_bundle(self.folder)
        return Live(bundle, OnnxModels.load(bundle))

    def _slow_read(self) -> Found[Live]:
        return found(self._slow_load, self.operators.read)

    def _slow_load(self) -> Live:
        self.before_load()
        return self.load()

    def _swap(self, live: Live) -> None:
        self.live = live

    def counted(self, result: str) -> int:
        """Return how many reloads ended so."""
        return self.page.cells[LAYOUT.cell("liftgate_reloads", result)]


@pytest.fixture
def operators(tmp_path: Path) -> Path:
    """One operator."""
    path = tmp_path / "operators.yaml"
    path.write_text(f'operators:\n  ada: {{roles: [admin], token_sha256: "{token_hash("lg_ada")}"}}\n')
    return path


@pytest.fixture
def worker(tmp_path: Path, operators: Path) -> Worker:
    """A worker with the small bundle."""
    return Worker(Path(shutil.copytree(SMALL, tmp_path / "bundle")), operators)


def edit(worker: Worker, value: float) -> None:
    """Change what the bundle means."""
    path = worker.folder / "offers.yaml"
    head, _, rest = path.read_text().partition("value: ")
    path.write_text(f"{head}value: {value}\n{rest.partition(chr(10))[2]}")


async def test_a_swap_is_on_record_before_it_happens(worker: Worker) -> None:
    """The chain is asked while the old bundle is in force; both digests, actor, role and reason are in the act."""
    old = worker.live.bundle.digest
    edit(worker, 7.5)
    outcome = await worker.reloader.reload("ada", "admin", "spring")
    ((act, in_force),) = worker.chain.acts
    assert (outcome.result, outcome.digest, worker.live.bundle.digest == outcome.digest) == ("swapped", act.digest_after, True)
    assert (act.actor, act.role, act.reason, act.digest_before, in_force) == ("ada", "admin", "spring", old, old)
    assert worker.counted("swapped") == 1


async def test_without_a_record_nothing_is_swapped(worker: Worker) -> None:
    """A chain that cannot be written refuses the reload and says so; with room again the same reload goes through."""
    edit(worker, 7.5)
    before, worker.chain.full = worker.live, True
    outcome = await worker.reloader.reload("ada")
    assert (outcome.result, "audit chain" in outcome.cause, worker.live is before) == ("refused", True, True)
    worker.chain.full = False
    assert (await worker.reloader.reload("ada")).result == "swapped"


async def test_what_means_the_same_is_unchanged_and_no_act(worker: Worker) -> None:
    """A comment changes the file and not the bundle: nothing is recorded."""
    with (worker.folder / "offers.yaml").open("a") as file:
        file.write("# a comment\n")
    assert (await worker.reloader.reload("ada")).result == "unchanged"
    assert worker.chain.acts == []


async def test_all_mistakes_are_told_at_once_and_neither_file_is_taken(worker: Worker, operators: Path) -> None:
    """A broken operators file and a broken bundle are both named; with one of them broken the other is not taken either."""
    before = worker.live
    operators.write_text("operators: [\n")
    (worker.folder / "more.yaml").write_text("offers: {more: {value: -1.0}}\n")
    outcome = await worker.reloader.reload("ada")
    assert {mistake.file for mistake in outcome.mistakes} == {"operators.yaml", "more.yaml"}
    (worker.folder / "more.yaml").unlink()
    edit(worker, 7.5)
    outcome = await worker.reloader.reload("ada")
    assert (outcome.result, {mistake.file for mistake in outcome.mistakes}) == ("refused", {"operators.yaml"})
    assert worker.live is before
    assert worker.counted("refused") == 2


@pytest.mark.parametrize("error", [BadInput("went on changing"), RuntimeError("jane@example.com"), MemoryError(), RecursionError()])
async def test_no_failure_of_a_load_gets_out(worker: Worker, error: BaseException) -> None:
    """Whatever a load raises is a refusal, and the text of a strange exception stays inside."""
    before = worker.live

    def fail() -> None:
        raise error

    worker.before_load = fail
    outcome = await worker.reloader.reload("ada")
    assert (outcome.result, worker.live is before) == ("refused", True)
    assert outcome.cause or outcome.mistakes
    assert "jane" not in str(outcome)


async def test_reloads_are_one_at_a_time_and_outlive_their_callers(worker: Worker) -> None:
    """Four at once never load together; a caller who hangs up leaves nothing half done."""
    inside, most = 0, 0
    lock = threading.Lock()

    def count() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        with lock:
            inside -= 1

    worker.before_load = count
    await asyncio.gather(*(worker.reloader.reload("ada") for _ in range(4)))
    assert most == 1
    edit(worker, 7.5)
    hasty = asyncio.create_task(worker.reloader.reload("ada"))
    await asyncio.sleep(0)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    worker.before_load = lambda: None
    assert (await worker.reloader.reload("ben")).result == "unchanged"
    assert [act.actor for act, _ in worker.chain.acts] == ["ada"]


async def test_what_runs_keeps_its_draw_and_a_new_phase_is_on_record(worker: Worker) -> None:
    """A changed salt of a layer that runs is refused with its line; with a new phase it goes through, and the act's reason says so."""
    path, old = worker.folder / "bundle.yaml", "salt: universal-2026h2,"
    text, before = path.read_text(), worker.live
    path.write_text(text.replace(old, "salt: universal-2027,"))
    outcome = await worker.reloader.reload("ada", "admin", "new year")
    assert (outcome.result, [mistake.field for mistake in outcome.mistakes]) == ("refused", ["layers.universal-2026h2.salt"])
    assert (worker.live is before, worker.chain.acts) == (True, [])
    path.write_text(text.replace(old, "salt: universal-2027, phase: 2,"))
    assert (await worker.reloader.reload("ada", "admin", "new year")).result == "swapped"
    ((act, _),) = worker.chain.acts
    assert act.reason == "new year; opens phase 2 of layer universal-2026h2"
