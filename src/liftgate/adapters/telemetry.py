"""Metrics, spans and the few log lines of a decision, counted once a batch: `ports.Observer`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from liftgate.adapters.telemetry_metrics import (
    ARMS,
    BRANCHES,
    CANDIDATE_REASONS,
    CODES,
    DECISION_REASONS,
    LAYOUT,
    LOSSES,
    METHODS,
    REQUEST_US,
    SIZES,
    STAGE_US,
    STALE,
)
from liftgate.adapters.telemetry_page import Page
from liftgate.adapters.telemetry_spans import DecisionSpans
from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.decision import Decision
from liftgate.domain.input import InputSchema
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.stages import Stage

_INTERNAL = CODES.index("INTERNAL")
_STAGE_BOUNDS = np.array(STAGE_US)
_CANDIDATE_REASONS = np.array(CANDIDATE_REASONS)
_CODES = 256
"""Reasons are bytes."""
_SAY_AGAIN_S = 1.0
"""A repeated fallback is said once in this long, with how many were left unsaid."""
_SAID_KEPT = 256
_FEW = 6
"""Decisions that are counted one by one: a counter of kinds costs as much as some."""
_DRY_RUN, _KIND = attrgetter("dry_run"), attrgetter("reason", "arm", "branch")


class Telemetry:
    """One worker's counters. Everything runs on the event loop's thread; nothing raises."""

    def __init__(
        self,
        page: Page,
        spans: DecisionSpans | None = None,
        warn: Callable[[str, Mapping[str, object]], None] | None = None,
        sample_ratio: float = 0.0,
    ) -> None:
        """`warn` takes an event's name and fields; None: fallbacks are counted and not said. `sample_ratio`: see `_sampled`."""
        self.page = page
        self._cells = page.cells
        self._numbers = np.frombuffer(page.cells, dtype=np.int64)
        """The same cells, to count many at once."""
        self._spans = spans
        self._warn = warn
        self._sample_ratio = sample_ratio
        self._sample_credit = 0.0
        self._written: dict[str, dict[int, int]] = {}
        self._said: dict[tuple[object, ...], tuple[float, int]] = {}
        at = LAYOUT.start
        timed = {method: LAYOUT.cell("liftgate_request_seconds", method) for method in METHODS[:4]}
        self._answered = {
            (method, i): (LAYOUT.cell("liftgate_requests", method, code), timed.get(method))
            for method in METHODS
            for i, code in enumerate(CODES)
        }
        """By method and status the cell that counts, and where its times begin, if it is timed."""
        self._in_flight, self._queue = at("liftgate_in_flight"), at("liftgate_queue_depth")
        self._batch = at("liftgate_batch_size")
        self._stages = at("liftgate_stage_seconds") + np.arange(len(Stage)) * (len(STAGE_US) + 2)
        self._stage_sums = self._stages + len(STAGE_US) + 1
        self._fallback = {stage: at("liftgate_fallbacks") + i for i, stage in enumerate(Stage)}
        self._duplicates, self._recovered = at("liftgate_duplicates"), at("liftgate_recovered")
        self._errors = {where: LAYOUT.cell("liftgate_errors", where) for where in ("call", "telemetry")}
        self._decision = {
            (reason, arm, branch): LAYOUT.cell("liftgate_decisions", reason.name.lower(), arm.name.lower(), branch.name.lower())
            for reason in DECISION_REASONS
            for arm in ARMS
            for branch in BRANCHES
        }
        self._refusals, self._shadow_refusals = (
            self._numbers[at(name) : at(name) + len(CANDIDATE_REASONS)]
            for name in ("liftgate_candidate_refusals", "liftgate_shadow_refusals")
        )
        self._serving = at("liftgate_workers_serving")
        self._ageing: tuple[InputSchema | None, NDArray[np.intp]] = (None, np.empty(0, np.intp))
        """The features of the bundle that was last counted, and the cell of each; -1: it has no max_age."""

    def decided(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> None:
        """Count a batch after its log write; emit spans for the sampled decisions in it."""
        try:
            self._count(batch, decisions)
            if batch.stale is not None:
                self._count_stale(batch.stale, batch, bundle, decisions)
            if self._spans is not None:
                for decision in decisions:
                    if self._sampled(batch.requests[decision.row]):
                        self._spans.emit(batch, bundle, decision)
        except Exception as err:  # a fault in counting must not touch a decision; it is counted itself
            self._cells[self._errors["telemetry"]] += 1
            self._say("telemetry_failed", type(err).__name__)

    def _sampled(self, request: DecideRequest) -> bool:
        """Say whether to trace: as the caller's `traceparent` has it, or else every (1 / sample_ratio)-th."""
        if request.trace_id:
            return request.sampled
        self._sample_credit += self._sample_ratio
        if self._sample_credit < 1.0:
            return False
        self._sample_credit -= 1.0
        return True

    def _count(self, batch: Batch, decisions: Sequence[Decision]) -> None:
        cells, observe = self._cells, self.page.observe
        observe(self._batch, SIZES, batch.n)
        if batch.stage_us is not None:
            self._numbers[self._stages + _STAGE_BOUNDS.searchsorted(batch.stage_us)] += 1
            self._numbers[self._stage_sums] += batch.stage_us
        requests, where = batch.requests, self._decision
        if any(map(_DRY_RUN, requests)):
            decisions = [decision for decision in decisions if not requests[decision.row].dry_run]
        if len(decisions) < _FEW:
            for decision in decisions:
                cells[where[decision.reason, decision.arm, decision.branch]] += 1
        else:
            for kind, count in Counter(map(_KIND, decisions)).items():
                cells[where[kind]] += count
        self._refusals += np.bincount(batch.reason.ravel(), minlength=_CODES)[_CANDIDATE_REASONS]
        if batch.shadow_reason is not None:
            self._shadow_refusals += np.bincount(batch.shadow_reason.ravel(), minlength=_CODES)[_CANDIDATE_REASONS]

    def _count_stale(self, stale: Bools, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> None:
        rows = [decision.row for decision in decisions if not batch.requests[decision.row].dry_run]
        counts = stale[rows].sum(axis=0)
        features = counts.nonzero()[0]
        # Several features may share a cell.
        np.add.at(self._numbers, self._cells_of(bundle.schema)[features], counts[features])

    def _cells_of(self, schema: InputSchema) -> NDArray[np.intp]:
        """Return [F] the cells of a bundle's features with a max_age, -1 for the others."""
        known, cells = self._ageing
        if known is not schema:
            named = zip(schema.profile, schema.ageless.tolist(), strict=True)
            cells = np.array(
                [-1 if ageless else self.page.place(STALE, one.name.removeprefix("profile.")) for one, ageless in named], np.intp
            )
            self._ageing = (schema, cells)
        return cells

    def fell_back(self, stage: Stage, cause: str, requests: Sequence[DecideRequest] = ()) -> None:
        """A stage took its fallback."""
        self._cells[self._fallback[stage]] += 1
        example: dict[str, object] = {}
        if requests:
            example = {"requests": len(requests), "request_id": requests[0].request_id, "trace_id": requests[0].trace_id.hex()}
        self._say("fallback", cause, {"stage": stage.label}, example)

    def joined(self, recovered: bool) -> None:
        """A duplicate request was answered from memory."""
        self._cells[self._duplicates] += 1
        if recovered:
            self._cells[self._recovered] += 1

    def uncounted(self, cause: str, events: int) -> None:
        """Events are in the log and could not be counted against caps and pauses, for a cause of `UNCOUNTED`."""
        self._cells[LAYOUT.cell("liftgate_events_uncounted", cause)] += events

    def took(self, outcome: str, events: int) -> None:
        """So many events were answered with an outcome of `EVENT_OUTCOMES`."""
        self._cells[LAYOUT.cell("liftgate_events", outcome)] += events

    def erased(self, values: int) -> None:
        """A person was erased, and so many values with them."""
        self._cells[LAYOUT.start("liftgate_erasures")] += 1

    def erased_again(self, people: int) -> None:
        """A store that was older than erasures was made to forget so many people again."""
        self._cells[LAYOUT.start("liftgate_erased_again")] += people

    def began(self) -> None:
        """A call has arrived."""
        self._cells[self._in_flight] += 1

    def answered(self, method: str, code: int, seconds: float) -> None:
        """A call that `began` is over: its bare method name, gRPC status number, and time in the handler."""
        cells = self._cells
        cells[self._in_flight] -= 1
        if code == _INTERNAL:
            cells[self._errors["call"]] += 1
        if (found := self._answered.get((method, code))) is not None:
            cell, start = found
            cells[cell] += 1
            if start is not None:
                self.page.observe(start, REQUEST_US, int(seconds * 1e6))

    def turned_away(self, method: str, code: int, calls: int) -> None:
        """So many calls ended with one gRPC status number before they were read: in no time."""
        if (found := self._answered.get((method, code))) is not None:
            cell, start = found
            self._cells[cell] += calls
            if start is not None:
                self.page.observe(start, REQUEST_US, 0, calls)

    def failed(self, method: str, what: str) -> None:
        """A call ends INTERNAL: a fault of ours. `what` names the error's class and place, never its text."""
        self._say("internal_error", what, {"method": method})

    def level(self, queue_depth: int) -> None:
        """Note how many requests wait for a batch."""
        self._cells[self._queue] = queue_depth

    def serving(self, yes: bool, bundle: Bundle | None = None, version: str = "") -> None:
        """Note whether this worker's health says SERVING, and with which bundle."""
        self._cells[self._serving] = int(yes)
        if bundle is not None:
            self._cells_of(bundle.schema)
            self.page.write_text({"bundle": bundle.name[:128], "digest": bundle.digest, "version": version[:32]})

    def controls(self, known: bool, stops: int, unapproved: int) -> None:
        """Note whether this worker knows its controls, how much is stopped, and how many sensitive offers lack an approval."""
        at, cells = LAYOUT.start, self._cells
        cells[at("liftgate_workers_without_controls")] = int(not known)
        cells[at("liftgate_stops")], cells[at("liftgate_unapproved_offers")] = stops, unapproved

    def reloaded(self, result: str) -> None:
        """Count a reload: swapped, unchanged or refused."""
        self._cells[LAYOUT.cell("liftgate_reloads", result)] += 1

    def logged(self, log: str, records: int, size: int, losses: Mapping[str, int]) -> None:
        """Take a log's totals since its writer began: records, bytes, and records lost by cause. What is new is added."""
        totals = {LAYOUT.cell("liftgate_log_records", log): records, LAYOUT.cell("liftgate_log_bytes", log): size}
        for cause, count in losses.items():
            totals[LAYOUT.cell("liftgate_log_losses", log, cause if cause in LOSSES else "other")] = count
        before = self._written.setdefault(log, {})
        for cell, total in totals.items():
            self._cells[cell] += total - before.get(cell, 0)
            before[cell] = total

    def mended(self, log: str, quarantined_bytes: int) -> None:
        """Count what a start moved out of a dead writer's segments because it could not be read."""
        self._cells[LAYOUT.cell("liftgate_log_quarantined_bytes", log)] += quarantined_bytes

    def close(self) -> None:
        """Export the spans that are left."""
        if self._spans is not None:
            self._spans.close()

    def _say(self, event: str, cause: str, more: Mapping[str, object] | None = None, example: Mapping[str, object] | None = None) -> None:
        """Warn, at most once in a while for each event, cause and `more`; `example` goes along."""
        if self._warn is None:
            return
        now = time.monotonic()
        key = (event, cause, *(more or {}).values())
        last, unsaid = self._said.get(key, (float("-inf"), 0))
        if now - last < _SAY_AGAIN_S:
            self._said[key] = (last, unsaid + 1)
            return
        if len(self._said) > _SAID_KEPT:
            self._said.clear()
        self._said[key] = (now, 0)
        try:
            self._warn(event, {"cause": cause, **(more or {}), **(example or {}), "unsaid": unsaid})
        except Exception:
            self._cells[self._errors["telemetry"]] += 1
