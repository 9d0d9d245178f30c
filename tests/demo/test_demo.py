"""The demo as people run it: a small shop, a real server, and a log that holds what was told."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from liftgate.client import Client
from liftgate.demo import evidence
from liftgate.demo.__main__ import progress
from liftgate.demo.people import people, person_id
from liftgate.demo.truth import Truth
from liftgate.demo.visits import visits
from liftgate.domain.reason import Arm, Branch, Reason
from tests.ports import free_port

pytestmark = pytest.mark.slow

PEOPLE, VISITS, SEED = 1_500, 1_700, 3


class Ran(NamedTuple):
    """One run of the demo."""

    told: dict[str, Any]
    log: Path


def demo(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return subprocess.run([sys.executable, "-m", "liftgate.demo", *arguments], capture_output=True, text=True, timeout=240, cwd=cwd)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A small run, told as JSON."""
    log = tmp_path_factory.mktemp("demo") / "log"
    done = demo("--people", str(PEOPLE), "--decisions", str(VISITS), "--seed", str(SEED), "--json", "--log", str(log))
    assert done.returncode == 0, done.stderr
    return Ran(json.loads(done.stdout), log)


def test_every_decision_of_it_comes_out_again(ran: Ran) -> None:
    """`liftgate replay` reproduces all of the log from the bundle kept beside it and the demo's models."""
    models = Path(evidence.__file__).parent / "models"
    arguments = [sys.executable, "-m", "liftgate.app.cli.main", "replay", "--log", str(ran.log), "--models", str(models), "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["decisions"], answer["reproduced"], answer["changed"]) == (0, VISITS, VISITS, []), done.stdout


def test_no_file_of_the_log_names_a_person(ran: Ran) -> None:
    """No id of the shop's people is in any byte of it: not in what a caller chooses, such as an `event_id`, either."""
    shoppers = person_id(0).removesuffix("00000").encode()
    files = [path for path in ran.log.rglob("*") if path.is_file()]
    assert len(files) > 2
    assert not [path.name for path in files if shoppers in path.read_bytes()]


def test_every_visit_is_answered_and_in_the_log(ran: Ran) -> None:
    """Every visit gets an answer, every answer is in a whole and sealed log, and so is every event."""
    log = ran.told["log"]
    assert (ran.told["decisions"], ran.told["unanswered"], log["decisions"]) == (VISITS, 0, VISITS)
    assert (log["acknowledged_but_missing"], log["damaged"], log["gaps"]) == (0, 0, 0)
    assert log["exposures"] > VISITS / 2
    assert log["purchases"] > 0
    found = evidence.read(ran.log)
    assert found.unsealed == 0
    assert (found.decisions, found.exposures, found.purchases) == (VISITS, log["exposures"], log["purchases"])


def test_every_branch_of_the_shop_is_met(ran: Ran) -> None:
    """The shop shows the arms, branches and reasons that a healthy service has, and none of an unhealthy one."""
    assert set(ran.told["by_arm"]) == {"TREATMENT", "HOLDOUT"}
    assert set(ran.told["by_branch"]) == {"EXPLOIT", "EXPLORE", "HOLDOUT", "DEFAULT"}
    assert {"OFFERED", "HELD_OUT", "UNKNOWN_PERSON", "PROFILE_NOT_CONSENTED", "NO_OFFER_ALLOWED"} <= set(ran.told["by_reason"])
    assert not {"STAGE_FAILED", "PROFILE_STORE_UNAVAILABLE", "MODEL_UNAVAILABLE", "RESERVATION_UNAVAILABLE"} & set(ran.told["by_reason"])
    assert {"CONSENT_DENIED", "CONSENT_MISSING", "CONSENT_EXPIRED", "CONSENT_GPC", "NOT_ELIGIBLE", "ELIGIBILITY_UNKNOWN", "ENDED"} <= set(
        ran.told["held_back_by"]
    )


def test_holdout_sees_nothing_and_stays_put(ran: Ran) -> None:
    """Nobody changes arms, nobody held out is exposed, and what they would have been offered is kept."""
    found = evidence.read(ran.log)
    assert found.moved == 0
    assert not found.exposed & {person for person, arm in found.arm_of.items() if arm is Arm.HOLDOUT}
    assert found.branches[Branch.HOLDOUT] == found.arms[Arm.HOLDOUT] == found.reasons[Reason.HELD_OUT]
    assert len(found.arm_of) == PEOPLE


def test_planted_truth_is_what_the_simulator_says(ran: Ran) -> None:
    """The truth that is printed is the mean over everyone of P(buy) after what was chosen for them, worked out one by one."""
    shoppers = people(PEOPLE, SEED)
    world, calls, found = Truth(shoppers, SEED), visits(shoppers, VISITS, SEED), evidence.read(ran.log)
    treated = 0.0
    for person in range(PEOPLE):
        seen = [offer for call in calls if call.person == person and world.sees(call.request_id) for offer in found.chosen[call.request_id]]
        treated += max((float(world.seen[person, world.index[offer]]) for offer in seen), default=float(world.untouched[person]))
    assert ran.told["planted"]["treated"] == pytest.approx(treated / PEOPLE)
    assert ran.told["planted"]["untouched"] == pytest.approx(float(world.untouched.mean()))
    assert ran.told["planted"]["difference"] > 0.02


def test_lost_and_damaged_records_are_seen(ran: Ran, tmp_path: Path) -> None:
    """A log whose tail is cut off shows as damaged and the decisions in it as missing."""
    whole = evidence.read(ran.log)
    copy = tmp_path / "log"
    shutil.copytree(ran.log, copy)
    segment = next(path for path in copy.rglob("decision*.seg"))
    with open(segment, "r+b") as file:
        file.truncate(segment.stat().st_size - 100)
    cut = evidence.read(copy)
    assert cut.damaged == 1
    assert cut.missing(whole.decision_ids) == 1
    assert whole.missing(whole.decision_ids) == 0


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    """A log folder that holds something is refused, and what it holds stays."""
    (tmp_path / "mine").write_text("keep")
    done = demo("--log", str(tmp_path))
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "mine").read_text() == "keep"


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """While one demo runs in its own folder, a second is refused and leaves the first one's log alone."""
    own = tmp_path / ".liftgate" / "demo"
    (own / "log").mkdir(parents=True)
    (own / "log" / "first").write_text("keep")
    with (own / "running").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = demo("--people", "100", "--decisions", "100", cwd=tmp_path)
    assert done.returncode == 2
    assert "another demo is running" in done.stderr
    assert (own / "log" / "first").read_text() == "keep"


def test_kept_shop_answers_until_told_to_stop(tmp_path: Path) -> None:
    """With --keep the shop answers who asks; SIGTERM drains the server, seals the log and leaves no process behind."""
    port, log = free_port(), tmp_path / "log"
    arguments = ("--keep", "--people", "500", "--port", str(port), "--metrics-port", "0", "--log", str(log))
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "liftgate.demo", *arguments], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while b"Ctrl-C stops it" not in (tmp_path / "out").read_bytes():
            assert process.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with Client(f"127.0.0.1:{port}", timeout_ms=10_000) as client:
            decision = client.decide("shopper-00007", "home.hero", channel="web", explain=True)
        assert decision.from_service
        assert decision.explanation is not None
        children = descendants(process.pid)
        assert len(children) == (2 if sys.platform == "linux" else 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert evidence.read(log).decisions == 1
    assert evidence.read(log).unsealed == 0


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = re.sub(r"^.*\) ", "", path.read_text()).split()[1]
        except OSError:
            continue
        if int(parent) == pid:
            found.append(int(path.parent.name))
    return found


def test_help_teaches() -> None:
    """The help says what happens, what the exit codes mean and shows an example."""
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-m", "liftgate.demo", "--help"], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0
    for word in ("--people", "--decisions", "--seed", "--json", "--log", "--keep", "Exit codes", "Examples"):
        assert word in done.stdout


def test_progress_fits_a_narrow_terminal() -> None:
    """On 80 columns the counts, the rate and the clock of a step are whole."""
    out = io.StringIO()
    with progress(Console(width=80, force_terminal=True, color_system=None, file=out), quiet=False) as step:
        advance = step("Loading people into an embedded Valkey", 20_000)
        for _ in range(10):
            # Without a pause the rate is one that no store reaches, and a longer word.
            time.sleep(0.02)
            advance(2_000)
    assert re.search(r"20000/20000 [\d,]+/s", out.getvalue())
    assert "0:00:00" in out.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in out.getvalue()
