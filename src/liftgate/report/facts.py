"""Every answer that the page is made of, each as its command prints it with --json, and the command itself."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from liftgate.measure import attribution, decision_table, experiment, log_inputs, quality
from liftgate.measure.drift_log import compare_bundles
from liftgate.measure.envelope import KEYS, enveloped
from liftgate.measure.lift_question import metric_of
from liftgate.measure.log import Log, new_aside, open_log
from liftgate.measure.plain import plain
from liftgate.measure.refusal import Misused
from liftgate.report import facts_tables as tables
from liftgate.report.answered import Answer, answered
from liftgate.report.ladder import MOST_LAYERS, layers_of
from liftgate.report.planned import N_STAR, Planned, plans_of
from liftgate.report.subject import Subject

_COLUMNS = tuple(
    dict.fromkeys(
        (*experiment.DECISION_COLUMNS, *quality.DECISION_COLUMNS, *decision_table.DECISION_COLUMNS, *log_inputs.COLUMNS, "decision_id")
    )
)
_EVENTS = tuple(dict.fromkeys((*experiment.EVENT_COLUMNS, *quality.EVENT_COLUMNS, *decision_table.EVENT_COLUMNS)))
DECISIONS = "decisions.parquet"
MOST_INPUTS = 300
"""Inputs whose drift is looked at."""
Plan = Callable[[str, int], tuple[str, Answer] | None]
"""From a bundle's digest and a moment (ms): the command that shows its layers, and what it says; None: the bundle is not to be had."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the report is to be about. Texts of time are kept as they were given, for the commands that the page names."""

    log: Path
    events: Path | None = None
    window: str = "7d"
    window_ms: int = 7 * 86_400_000
    read_at: str = ""
    read_at_ms: int | None = None
    metrics: tuple[str, ...] = ("purchase", "purchase_value")
    """The first decides; as `--metric` of `measure lift`."""
    layers: tuple[str, ...] = ()
    """The first is the headline; empty: the holdout of everything, and all layers."""
    segments: tuple[str, ...] = ()
    """Columns or inputs; empty: the placement, and what requests say of channel, device and the like."""
    n_star: int | None = None
    """Of the headline; None: as bundle or hypothesis has it."""
    reference: Path | None = None
    """Table of what the models were trained on, for drift; None: the first bundle, or the first half of the time."""
    allow_gaps: bool = False
    keep: Path | None = None
    """Folder for the tables that the answers were computed from; None: they are thrown away."""
    plan: Plan | None = None
    beside: Mapping[str, Answer] = field(default_factory=dict)
    """Answers of other commands, such as `simulated`, `hypotheses` and `learned`."""
    beside_commands: Mapping[str, str] = field(default_factory=dict)
    """Their commands."""


def gather(wanted: Wanted) -> Answer:
    """Return the facts: what was asked, the answers by name, and the command of each. Raises Misused where there is no log to read."""
    with new_aside() as aside, tempfile.TemporaryDirectory(prefix="liftgate-report-") as folder:
        log = open_log(wanted.log, wanted.events, Path(aside), decision_columns=_COLUMNS, event_columns=_EVENTS)
        return Gathering(wanted, log, wanted.keep or Path(folder)).facts()


class Gathering:
    """Asks the questions of one report; `note` keeps an answer with its command."""

    def __init__(self, wanted: Wanted, log: Log, folder: Path) -> None:
        """`folder`: for tables."""
        self.wanted, self.log, self.folder = wanted, log, folder
        self.answers: dict[str, Answer] = {}
        self.commands: dict[str, str] = dict(wanted.beside_commands)
        self.inputs = log_inputs.inputs_of(log)
        for metric in wanted.metrics:
            metric_of(metric)
        log_inputs.named(log, wanted.segments, ("placement", "version"))

    def facts(self) -> Answer:
        """Ask everything and return the facts."""
        wanted = self.wanted
        there = layers_of(self.log)
        named = {one.name: one for one in there}
        for name in wanted.layers:
            if name not in named:
                raise Misused(f"no decision of {wanted.log} is in a layer {name!r}; it has {', '.join(named) or 'none'}")
        measured = [named[name] for name in wanted.layers] if wanted.layers else there[:MOST_LAYERS]
        universal = [one for one in there if one.universal]
        head = measured[0] if wanted.layers else universal[0] if len(universal) == 1 else None
        others = [one for one in measured if one != head]
        self.note("quality", "quality", lambda: quality.quality_of(self.log, wanted.window_ms, wanted.read_at_ms), self.timed())
        plans = plans_of(self, [*([head] if head else []), *others])
        planned = plans.get(head.name if head else "", Planned(N_STAR, "nobody")).chosen(wanted.n_star)
        Subject(self, head, planned.n_star, 0).ask(split=head is not None)
        self._decisions()
        for number, one in enumerate(others, 1):
            Subject(self, one, plans[one.name].n_star, number).ask()
        return {
            "what": "report",
            "log": str(wanted.log),
            "window": wanted.window,
            "metrics": list(wanted.metrics),
            "n_star": planned.n_star,
            "n_star_from": planned.source,
            "headline": None if head is None else head.as_json() | planned.as_json(),
            "layers": [one.as_json() | plans[one.name].as_json() for one in others],
            "layers_left_out": 0 if wanted.layers else max(0, len(there) - MOST_LAYERS),
            "commands": self.commands,
            "answers": self.answers | dict(plain(dict(wanted.beside))),
        }

    def note(self, name: str, what: str, compute: Callable[[], Answer], *words: str, log: bool = True) -> Answer:
        """Keep an answer of `liftgate measure <what>` under a name, with its command; return it."""
        source = ""
        if log:
            events = f" --events {shlex.quote(str(self.wanted.events))}" if self.wanted.events else ""
            source = f" --log {shlex.quote(str(self.wanted.log))}{events}"
        self.commands[name] = f"liftgate measure {what}{source} " + " ".join(word for word in words if word)
        self.answers[name] = answered(what, compute)
        return self.answers[name]

    def timed(self) -> str:
        """Return the options of window and time."""
        return f"--window {self.wanted.window}" + (f" --read-at {self.wanted.read_at}" if self.wanted.read_at else "")

    def gaps(self) -> str:
        """Return the option that lets missing records pass, where it was given."""
        return "--allow-gaps" if self.wanted.allow_gaps else ""

    def candidates(self) -> Sequence[str]:
        """Return the inputs that segments may be made of: those that were named, else what requests say in few words."""
        if self.wanted.segments:
            return [name for name in self.wanted.segments if name not in ("placement", "version")]
        return [path for path, one in self.inputs.items() if path.startswith("context.") and one.kind in ("string", "bool")]

    def _decisions(self) -> None:
        wanted, path = self.wanted, self.folder / DECISIONS
        kind = tables.kind_of(wanted.metrics[0])
        names = [path for path, one in self.inputs.items() if one.kind != "timestamp"][:MOST_INPUTS]
        path.unlink(missing_ok=True)

        def compute() -> Answer:
            rule = attribution.Rule(kind, wanted.window_ms)
            made = decision_table.decisions_of(
                self.log, rule, path, read_at_ms=wanted.read_at_ms, allow_gaps=wanted.allow_gaps, inputs=names
            )
            return {"what": "table", "path": DECISIONS} | made.as_json()

        every = "--input all" if len(names) < MOST_INPUTS else " ".join(f"--input {name}" for name in names)
        words = f"--per decision --metric {kind}", self.timed(), self.gaps(), every if names else "", f"--out {DECISIONS}"
        found = self.note("decisions", "table", compute, *words)
        there = found["refusal"] is None
        for name, asked in tables.about_decisions(path).items():
            if there:
                self.note(name, asked.what, asked.compute, asked.words.replace(str(path), DECISIONS), log=False)
            else:
                self.answers[name] = enveloped(asked.what, {"refusal": found["refusal"]})
        if there:
            self._drift(kind, path, names, found)
        else:
            self.answers["drift"] = enveloped("drift", {"refusal": found["refusal"]})

    def _drift(self, kind: str, path: Path, names: Sequence[str], made: Answer) -> None:
        reference = str(self.wanted.reference) if self.wanted.reference is not None else ""
        some = " ".join(f"--column {name}" for name in names) if len(names) == MOST_INPUTS else ""
        log = {"decisions": made["rows"]} | {key: value for key, value in made.items() if key not in ("what", "path", *KEYS)}
        words = f"--metric {kind}", self.timed(), self.gaps(), some, f"--reference {shlex.quote(reference)}" if reference else ""
        self.note("drift", "drift", lambda: {"log": log} | compare_bundles(str(path), names, reference=reference), *words)
