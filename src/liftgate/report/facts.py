"""Every answer that the page is made of, each as its command prints it with --json, and the command itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liftgate.measure import attribution, decision_table, experiment, quality
from liftgate.measure.experiment import Asked, Made
from liftgate.measure.lift import measure_lift
from liftgate.measure.lift_question import Question, metric_of
from liftgate.measure.log import Log, new_aside, open_log
from liftgate.measure.plain import plain
from liftgate.measure.refusal import Misused, Refused
from liftgate.report import facts_tables as tables
from liftgate.report.ladder import MOST_LAYERS, Layer, layers_of

Answer = dict[str, Any]
_COLUMNS = tuple(dict.fromkeys((*experiment.DECISION_COLUMNS, *quality.DECISION_COLUMNS, *decision_table.DECISION_COLUMNS)))
_EVENTS = tuple(dict.fromkeys((*experiment.EVENT_COLUMNS, *quality.EVENT_COLUMNS, *decision_table.EVENT_COLUMNS)))
PEOPLE, DECISIONS = "people.parquet", "decisions.parquet"
N_STAR = 20_000
"""N* where nobody froze another: a constant, so that no look at the data chose it."""


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
    n_star: int = N_STAR
    allow_gaps: bool = False
    keep: Path | None = None
    """Folder for the two tables that the answers were computed from; None: they are thrown away."""
    beside: dict[str, Answer] = field(default_factory=dict)
    """Answers of other commands, such as `simulated`, `hypotheses` and `learned`."""


def gather(wanted: Wanted) -> Answer:
    """Return the facts: what was asked, the answers by name, and the command of each. Raises Misused where there is no log to read."""
    with new_aside() as aside, tempfile.TemporaryDirectory(prefix="liftgate-report-") as folder:
        log = open_log(wanted.log, wanted.events, Path(aside), decision_columns=_COLUMNS, event_columns=_EVENTS)
        return _Gathering(wanted, log, wanted.keep or Path(folder)).facts()


def answered(compute: Callable[[], Answer]) -> Answer:
    """Return an answer as its command prints it; what was asked wrongly of this log is a refusal on a page."""
    try:
        return dict(plain({"refusal": None} | compute()))
    except Refused as err:
        return {"refusal": err.refusal.as_json()}
    except Misused as err:
        return {"refusal": {"code": "asked_wrongly", "why": str(err), "what_to_do": "look at the command and at the log's columns"}}


class _Gathering:
    def __init__(self, wanted: Wanted, log: Log, folder: Path) -> None:
        self._wanted, self._log, self._folder = wanted, log, folder
        self._answers: dict[str, Answer] = {}
        self._commands: dict[str, str] = {}
        for metric in wanted.metrics:
            metric_of(metric)

    def facts(self) -> Answer:
        wanted = self._wanted
        there = layers_of(self._log)
        named = {one.name: one for one in there}
        for name in wanted.layers:
            if name not in named:
                raise Misused(f"no decision of {wanted.log} is in a layer {name!r}; it has {', '.join(named) or 'none'}")
        measured = [named[name] for name in wanted.layers] if wanted.layers else there[:MOST_LAYERS]
        universal = [one for one in there if one.universal]
        head = measured[0] if wanted.layers else universal[0] if len(universal) == 1 else None
        self._note("quality", "quality", lambda: quality.quality_of(self._log, wanted.window_ms, wanted.read_at_ms), self._timed())
        self._headline(head)
        self._decisions()
        for one in measured:
            if one != head:
                self._layer(one)
        return {
            "what": "report",
            "log": str(wanted.log),
            "window": wanted.window,
            "metrics": list(wanted.metrics),
            "n_star": wanted.n_star,
            "headline": None if head is None else head.as_json(),
            "layers": [one.as_json() for one in measured if one != head],
            "layers_left_out": 0 if wanted.layers else max(0, len(there) - MOST_LAYERS),
            "commands": self._commands,
            "answers": self._answers | dict(plain(wanted.beside)),
        }

    def _note(self, name: str, what: str, compute: Callable[[], Answer], *words: str, log: bool = True) -> Answer:
        source = f" --log {self._wanted.log}" + (f" --events {self._wanted.events}" if self._wanted.events else "") if log else ""
        self._commands[name] = f"liftgate measure {what}{source} " + " ".join(word for word in words if word)
        self._answers[name] = answered(compute)
        return self._answers[name]

    def _timed(self) -> str:
        return f"--window {self._wanted.window}" + (f" --read-at {self._wanted.read_at}" if self._wanted.read_at else "")

    def _asked(self, layer: str, window_ms: int, read_at_ms: int | None) -> Asked:
        return Asked(layer=layer, window_ms=window_ms, read_at_ms=read_at_ms, allow_gaps=self._wanted.allow_gaps)

    def _table(self, layer: str, target: Path) -> Callable[[], Made]:
        made: list[Made] = []

        def once() -> Made:
            if not made:
                target.unlink(missing_ok=True)
                wanted = self._wanted
                made.append(experiment.table_of(self._log, self._asked(layer, wanted.window_ms, wanted.read_at_ms), target))
            return made[0]

        return once

    def _headline(self, head: Layer | None) -> None:
        layer, control = ("", experiment.HELD_OUT) if head is None else (head.name, head.control)
        where = f"--layer {layer} --control {control}" if layer else ""
        gaps = "--allow-gaps" if self._wanted.allow_gaps else ""
        path = self._folder / PEOPLE
        once = self._table(layer, path)
        if head is not None:
            self._note("srm", "srm", lambda: self._split(layer), f"--layer {layer}", gaps)
        table = self._note(
            "table", "table", lambda: _said(once()), f"--layer {layer}" if layer else "", self._timed(), gaps, f"--out {PEOPLE}"
        )
        if table["refusal"]:
            for name in ("lift", "sequential", "funnel"):
                self._answers[name] = table
            self._commands["lift"] = f"liftgate measure lift --log {self._wanted.log} {where} {self._timed()} {gaps}".strip()
            return
        made = once()
        extra = tables.extra_of(path, control == experiment.HELD_OUT, made)
        self._note(
            "lift", "lift", lambda: self._lift(made, path, control, extra), where, self._timed(), gaps, self._metric_words(), *extra.words()
        )
        share = tables.shares_that_fit(path, made)
        tail = " ".join(f"--share {one}" for one in share)
        primary, every = self._wanted.metrics[0].split(":")[0], tables.step_of(path)
        look = f"--table {PEOPLE} --unit row --arm arm --control {control}"
        self._note(
            "sequential",
            "sequential",
            lambda: tables.sequence(path, control, primary, every, self._wanted.n_star, share),
            f"{look} --metric {primary} --time assigned_at --every {every} --n-star {self._wanted.n_star}",
            tail,
            log=False,
        )
        steps = tables.steps_of(path, made)
        segment = "placement" if "placement" in extra.segments else ""
        self._note(
            "funnel",
            "funnel",
            lambda: tables.funnel(path, control, steps, segment, share),
            look,
            " ".join(f"--step {one}" for one in steps),
            f"--segment {segment}" if segment else "",
            tail,
            log=False,
        )

    def _split(self, layer: str) -> Answer:
        from liftgate.measure.srm_table import check_split

        path = self._folder / "everybody.parquet"
        made = experiment.table_of(self._log, self._asked(layer, 0, None), path)
        try:
            return made.as_json() | check_split(str(path), "row", "arm", made.shares, [], "")
        finally:
            path.unlink()

    def _lift(self, made: Made, path: Path, control: str, extra: tables.Extra) -> Answer:
        return made.as_json() | measure_lift(
            Question(
                table=str(path),
                unit="row",
                arm="arm",
                control=control,
                metrics=tuple(metric_of(word) for word in self._wanted.metrics),
                strata=extra.strata,
                segments=extra.segments,
                period="version",
                triggered=extra.triggered,
                exposed=extra.exposed,
                shares=made.shares,
            )
        )

    def _metric_words(self) -> str:
        return " ".join(f"--metric {word}" for word in self._wanted.metrics)

    def _layer(self, one: Layer) -> None:
        path = self._folder / "layer.parquet"
        once = self._table(one.name, path)
        words = [f"--layer {one.name} --control {one.control}", self._timed(), "--allow-gaps" if self._wanted.allow_gaps else ""]
        found = answered(lambda: _said(once()))
        if found["refusal"]:
            self._note(f"layer {one.name}", "lift", lambda: found, *words, self._metric_words())
            return
        extra = tables.Extra(("version",) if once().versions > 1 else ())
        self._note(
            f"layer {one.name}", "lift", lambda: self._lift(once(), path, one.control, extra), *words, self._metric_words(), *extra.words()
        )
        path.unlink()

    def _decisions(self) -> None:
        wanted, path = self._wanted, self._folder / DECISIONS
        kind = tables.kind_of(wanted.metrics[0])
        path.unlink(missing_ok=True)

        def compute() -> Answer:
            rule = attribution.Rule(kind, wanted.window_ms)
            made = decision_table.decisions_of(self._log, rule, path, read_at_ms=wanted.read_at_ms, allow_gaps=wanted.allow_gaps)
            return {"what": "table", "path": DECISIONS} | made.as_json()

        words = f"--per decision --metric {kind}", self._timed(), "--allow-gaps" if wanted.allow_gaps else "", f"--out {DECISIONS}"
        found = self._note("decisions", "table", compute, *words)
        for name, asked in tables.about_decisions(path, found["refusal"] is None).items():
            if found["refusal"]:
                self._answers[name] = {"refusal": found["refusal"]}
            else:
                self._note(name, asked.what, asked.compute, asked.words.replace(str(path), DECISIONS), log=False)


def _said(made: Made) -> Answer:
    return {"what": "table", "path": PEOPLE, "kinds": made.kinds} | made.as_json()
