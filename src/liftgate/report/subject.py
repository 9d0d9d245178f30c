"""One comparison: the headline or a layer beside it, from the table of its people to effect, course and funnel."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from liftgate.measure import experiment
from liftgate.measure.envelope import enveloped
from liftgate.measure.experiment import Asked, Made
from liftgate.measure.lift import measure_lift
from liftgate.measure.lift_question import Question, metric_of
from liftgate.report import facts_tables as tables
from liftgate.report.answered import Answer
from liftgate.report.ladder import Layer

if TYPE_CHECKING:
    from liftgate.report.facts import Gathering

PEOPLE = "people.parquet"


class Subject:
    """Number 0 is the headline, with the answers `lift`, `sequential`, `funnel`; those of a layer have its name behind them."""

    def __init__(self, gathering: Gathering, layer: Layer | None, n_star: int, number: int) -> None:
        """`layer` None: treatment against everybody held out."""
        self._all, self._layer, self._n_star, self._head = gathering, layer, n_star, number == 0
        self._name, self.control = ("", experiment.HELD_OUT) if layer is None else (layer.name, layer.control)
        self._file = PEOPLE if self._head else f"people-{number}.parquet"
        self._path = gathering.folder / self._file
        self._inputs = tuple(gathering.candidates()) if self._head else ()
        self._planned: tuple[str, ...] | None = None

    @cached_property
    def _made(self) -> Made:
        self._path.unlink(missing_ok=True)
        return experiment.table_of(self._all.log, self._asked(self._all.wanted.window_ms, self._inputs), self._path)

    def _asked(self, window_ms: int, inputs: Sequence[str] = ()) -> Asked:
        wanted = self._all.wanted
        read_at = wanted.read_at_ms if window_ms else None
        return Asked(layer=self._name, window_ms=window_ms, read_at_ms=read_at, allow_gaps=wanted.allow_gaps, inputs=tuple(inputs))

    def ask(self, split: bool = False) -> None:
        """Ask everything. `split`: of everybody, whatever their window, first."""
        note, layer = self._all.note, f"--layer {shlex.quote(self._name)}" if self._name else ""
        where = f"{layer} --control {shlex.quote(self.control)}" if layer else ""
        timed, gaps = self._all.timed(), self._all.gaps()
        if split:
            note("srm", "srm", self._split, layer, gaps)
            if self._planned == ():  # the log does not say what was planned; the effect's own gate looks at the split
                del self._all.answers["srm"], self._all.commands["srm"]
        inputs = " ".join(f"--input {shlex.quote(one)}" for one in self._inputs)
        table = note(self._called("table"), "table", self._said, layer, timed, gaps, inputs, f"--out {self._file}")
        words = where, timed, gaps, " ".join(f"--metric {word}" for word in self._all.wanted.metrics)
        if table["refusal"]:
            note(self._effect, "lift", lambda: {"refusal": table["refusal"]}, *words)
            for name in ("sequential", "funnel"):
                self._all.answers[self._called(name)] = enveloped(name, {"refusal": table["refusal"]})
            return
        extra = tables.extra_of(self._path, self.control == experiment.HELD_OUT, self._made, self._segments())
        if not self._head:
            extra = tables.Extra(strata=extra.strata)
        note(self._effect, "lift", lambda: self._lift(extra), *words, *extra.words())
        self._course_and_funnel(extra)
        if self._all.wanted.keep is None:
            self._path.unlink(missing_ok=True)

    @property
    def _effect(self) -> str:
        return "lift" if self._head else f"layer {self._name}"

    def _called(self, name: str) -> str:
        return name if self._head else f"{name} {self._name}"

    def _segments(self) -> list[str]:
        if not self._head:
            return []
        named = list(self._all.wanted.segments)
        return named or tables.segments_of(self._path, ["placement", *self._inputs])

    def _course_and_funnel(self, extra: tables.Extra) -> None:
        note, path = self._all.note, self._path
        where, share = tables.newest(path, self._made)
        share = share if where else tables.shares_that_fit(path, self._made)
        tail = " ".join([*(f"--share {one}" for one in share), *([f'--where "{where}"'] if where else [])])
        metric, every = self._all.wanted.metrics[0].split(":")[0], tables.step_of(path)
        look = f"--table {self._file} --unit row --arm arm --control {shlex.quote(self.control)}"
        note(
            self._called("sequential"),
            "sequential",
            lambda: tables.sequence(path, self.control, metric, every, self._n_star, share, where),
            f"{look} --metric {metric} --time assigned_at --every {every} --n-star {self._n_star}",
            tail,
            log=False,
        )
        if not self._head and (self._layer is None or self._layer.kind == "ablation"):
            return
        steps = tables.steps_of(path, self._made)
        values = tables.values_of(path, steps)
        for number, segment in enumerate(extra.segments or ("",)):
            note(
                self._called("funnel") if not number else f"funnel by {segment}",
                "funnel",
                lambda segment=segment: tables.funnel(path, self.control, steps, segment, share, values, where),  # type: ignore[misc]
                look,
                " ".join(f"--step {one}" for one in steps),
                " ".join(f"--value {step}={worth!r}" for step, worth in values.items()),
                f"--segment {shlex.quote(segment)}" if segment else "",
                tail,
                log=False,
            )

    def _said(self) -> Answer:
        return {"what": "table", "path": self._file, "kinds": self._made.kinds} | self._made.as_json()

    def _split(self) -> Answer:
        from liftgate.measure.srm_table import check_split

        path = self._all.folder / "everybody.parquet"
        made = experiment.table_of(self._all.log, self._asked(0), path)
        self._planned = made.shares
        try:
            return made.as_json() | check_split(str(path), "row", "arm", made.shares, [], "")
        finally:
            path.unlink()

    def _lift(self, extra: tables.Extra) -> dict[str, Any]:
        made = self._made
        return made.as_json() | measure_lift(
            Question(
                table=str(self._path),
                unit="row",
                arm="arm",
                control=self.control,
                metrics=tuple(metric_of(word) for word in self._all.wanted.metrics),
                strata=extra.strata,
                segments=extra.segments,
                period="version",
                triggered=extra.triggered,
                exposed=extra.exposed,
                shares=made.shares_within if made.shares_within and "version" in extra.strata else made.shares,
            )
        )
