"""The bank of the example: its people, its service with two workers, and the `liftgate` commands that they type."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from rich.console import Console

from liftgate.adapters.system import SystemClock
from liftgate.client import Client, Decision

COMMAND = (sys.executable, "-m", "liftgate.app.cli.main")
PLACEMENT = "app.home"
WAIT_S = 120.0
"""Longest wait for the service to start, to stop, or to show what it was told. It takes far less, but for the first 86 s of a day, in which
the even pace of a thousand bonuses a day allows no second one."""


REPEATS = 8
"""Times that a rehearsal must come out right in a row: with two workers on one port, both have then answered but once in 128 runs."""


EXPLORED_BELOW = 0.5
"""What was drawn with less than this came of exploring (the policy explores 5 % of the time): it says nothing about the rules' order."""


class Failed(Exception):
    """A rule did not hold, or a command did not do what it should."""


class Bank:
    """Runs commands as one of its people and checks what came of them."""

    def __init__(self, out: Path, store: str, console: Console) -> None:
        self.log, self.published = out / "log", out / "published"
        self.target = ""
        self._out, self._store, self._console = out, store, console
        self._operators = out / "operators.yaml"
        self._tokens: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Print a heading."""
        self._console.rule(f"[bold]{text}", align="left")

    def now(self) -> str:
        """Return this moment, ISO 8601."""
        return datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def hire(self, **roles: tuple[str, ...]) -> None:
        """Make operators; each one's token stays with them."""
        for name, has in roles.items():
            wanted = [word for role in has for word in ("--role", role)]
            said = self._run("operators", "add", name, *wanted, "--file", self._operators, "--json")
            self._tokens[name] = json.loads(said.stdout)["token"]

    def liftgate(self, *words: str | Path, by: str = "", last: int = 0) -> None:
        """Run a command and print what it says, or its `last` lines. Raises Failed unless it ends with 0."""
        said = self._run(*words, by=by, show=True)
        lines = said.stdout.rstrip().splitlines()
        self._console.print("\n".join(lines[-last:]), highlight=False, markup=False)
        if said.returncode:
            raise Failed(f"`liftgate {shlex.join(map(str, words))}` ended with {said.returncode}: {said.stderr.strip()}")

    def refused(self, *words: str | Path, by: str) -> None:
        """Run a command that must be refused. Raises Failed where it is not."""
        said = self._run(*words, by=by, show=True)
        if said.returncode == 0:
            raise Failed(f"`liftgate {shlex.join(map(str, words))}` by {by} should have been refused")
        self._console.print(f"[red]refused:[/] {said.stderr.strip()}", highlight=False)

    def publish(self, folder: Path, reason: str) -> None:
        """Publish a bundle as ada; the service reloads."""
        target = ("--target", self.target) if self.target else ("--operators", self._operators, "--log", self.log, "--redis", self._store)
        self.liftgate("bundle", "publish", folder, self.published, "--reason", reason, *target, by="ada")

    def item(self, subject: str, *flags: str) -> str:
        """Return the id of the review item that waits for this offer."""
        deadline = monotonic() + WAIT_S
        while True:
            said = json.loads(self._run("review", "list", "--json", *flags, by="ben").stdout)
            found = [item["review_id"] for item in said["items"] if subject in item["subject"]]
            if found:
                return str(found[0])
            if monotonic() > deadline:
                raise Failed(f"nothing about {subject} waits for a reviewer")

    def decide(self, person: str) -> Decision:
        """Decide for real."""
        return self._decide(person, False, False, attempt=0)

    def expect(self, person: str, offered: str = "", refused: Mapping[str, str] | None = None, gpc: bool = False) -> None:
        """Rehearse a decision, which charges no cap, until it comes out so several times. Raises Failed when it does not.

        Each rehearsal is a request of its own: the same one would be drawn the same for ever, and one in sixty explores.
        """
        wanted = refused or {}
        deadline = monotonic() + WAIT_S
        right = attempt = 0
        while right < REPEATS:
            attempt += 1
            answer = self._decide(person, gpc, True, attempt)
            if answer.offers and answer.offers[0].selection_probability < EXPLORED_BELOW and monotonic() < deadline:
                continue
            shown = answer.offers[0].offer_id if answer.offers else "nothing"
            reasons = {} if answer.explanation is None else {entry.offer_id: entry.reason for entry in answer.explanation.candidates}
            fits = shown == (offered or shown) and all(reasons.get(offer) == reason for offer, reason in wanted.items())
            right = right + 1 if fits else 0
            if not fits and monotonic() > deadline:
                raise Failed(f"{person}: wanted {offered}, {dict(wanted)}; got {shown}, {reasons}")
        because = ", ".join(f"{offer} {reason}" for offer, reason in wanted.items())
        self._console.print(f"[green]holds:[/] {person} is shown [bold]{shown}[/]" + (f"; {because}" if because else ""), highlight=False)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run the service with two workers for as long as the block takes; on the way out drain it."""
        words = [*COMMAND, "serve", "--bundle", self.published / "current", "--redis", self._store, "--log", self.log, "--workers", "2"]
        words += ["--operators", self._operators, "--consent-role", "compliance"]
        words += ("--port", "0", "--metrics-port", "0", "--lame-duck-s", "0")
        # All of these processes share the machine's cores: nobody is to get a fallback for that.
        words += ("--fetch-budget-ms", "5000", "--reserve-budget-ms", "5000")
        said = self._out / "server.log"
        with said.open("wb") as out:
            process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._environment(""))
        try:
            self.target = _ready(process, said)
            yield
            process.send_signal(signal.SIGTERM)
            if process.wait(WAIT_S):
                raise Failed(f"the service ended with exit code {process.returncode}; {said} says why")
        finally:
            self.target = ""
            if process.poll() is None:
                process.kill()
                process.wait()

    def _decide(self, person: str, gpc: bool, rehearse: bool, attempt: int) -> Decision:
        # A connection each: with two workers on one port, the calls reach both.
        with Client(self.target, timeout_ms=10_000.0) as client:
            return client.decide(
                person,
                PLACEMENT,
                channel="app",
                account_id=f"household-of-{person}",
                request_id=f"{person}-{attempt}",
                global_privacy_control=gpc,
                explain=True,
                dry_run=rehearse,
            )

    def _run(self, *words: str | Path, by: str = "", show: bool = False) -> subprocess.CompletedProcess[str]:
        line = list(map(str, words))
        if show:
            short = [Path(word).name if word.startswith("/") else word for word in line]
            self._console.print(f"[dim]{by + ' ' if by else ''}$[/] [bold]liftgate {shlex.join(short)}[/]", highlight=False)
        return subprocess.run(
            [*COMMAND, *line], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self._environment(by), check=False
        )

    def _environment(self, by: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("LIFTGATE_")}
        target = {"LIFTGATE_TARGET": self.target} if self.target else {}
        return {**own, **target, **({"LIFTGATE_TOKEN": self._tokens[by]} if by else {})}


def _ready(process: subprocess.Popen[bytes], said: Path) -> str:
    deadline = monotonic() + WAIT_S
    while process.poll() is None and monotonic() < deadline:
        for line in said.read_text(errors="replace").splitlines():
            if '"event": "serving_all"' in line and line.endswith("}"):
                found = json.loads(line)
                return f"{found['host']}:{found['port']}"
        sleep(0.05)
    raise Failed("the service did not start:\n" + "\n".join(said.read_text(errors="replace").splitlines()[-12:]))
