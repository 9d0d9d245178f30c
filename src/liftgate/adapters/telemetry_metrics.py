"""Which metrics there are. Names, labels and help texts; docs/operations.md lists them and a test holds it to this list."""

from __future__ import annotations

from liftgate.adapters.telemetry_page import Layout, Metric
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.pipeline.stages import Stage

CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""gRPC status codes by number."""
METHODS = (
    *("Decide", "DecideBatch", "Explain", "Record", "RecordStream", "Set", "Get", "History", "Erase", "GetStatus", "Reload", "Publish"),
    *("Stop", "Start", "List", "Submit", "Approve", "Reject", "Withdraw", "BreakGlass"),
)
STAGES = tuple(stage.label for stage in Stage)
CANDIDATE_REASONS = tuple(reason for reason in Reason if Reason.CHOSEN < reason < Reason.OFFERED)
DECISION_REASONS = tuple(reason for reason in Reason if reason >= Reason.OFFERED)
ARMS = tuple(arm for arm in Arm if arm)
BRANCHES = tuple(branch for branch in Branch if branch)
LOGS = ("decision", "event", "audit")
LOSSES = ("disk_full", "write_error", "sync_error", "failed", "closed", "buffer_full", "other")
"""Why a record is not, or may not be, in its log; as `adapters/segment_sink.py` names them."""

UNCOUNTED = ("store_away", "history_full", "no_account")
"""Why an event is logged and not counted."""
EVENT_OUTCOMES = ("accepted", "late", "duplicate", "rejected", "revoked")
"""What became of an event; each is one of them."""

REQUEST_US = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_024_000, 4_096_000)
STAGE_US = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000)


def _words(values: tuple[Reason, ...] | tuple[Arm, ...] | tuple[Branch, ...]) -> tuple[str, ...]:
    return tuple(value.name.lower() for value in values)


STALE = Metric(
    "liftgate_stale_features",
    "counter",
    "Decisions, dry runs left out, in which a feature with a max_age was too old.",
    ("feature",),
    places=256,
)
METRICS = (
    Metric("liftgate_requests", "counter", "Calls answered, by method and gRPC status code.", ("method", "code"), (METHODS, CODES)),
    Metric(
        "liftgate_request_seconds",
        "histogram",
        "Time from a call's arrival in the handler to its answer.",
        ("method",),
        (METHODS[:4],),
        REQUEST_US,
        1e-6,
    ),
    Metric("liftgate_in_flight", "gauge", "Calls being answered."),
    Metric("liftgate_queue_depth", "gauge", "Requests that wait for a batch."),
    Metric("liftgate_batch_size", "histogram", "Requests a batch.", bounds=SIZES),
    Metric("liftgate_stage_seconds", "histogram", "Wall time of one batch in one stage.", ("stage",), (STAGES,), STAGE_US, 1e-6),
    Metric(
        "liftgate_decisions",
        "counter",
        "Decisions made, dry runs left out.",
        ("reason", "arm", "branch"),
        (_words(DECISION_REASONS), _words(ARMS), _words(BRANCHES)),
    ),
    Metric("liftgate_candidate_refusals", "counter", "Candidates refused, by the first reason.", ("reason",), (_words(CANDIDATE_REASONS),)),
    Metric(
        "liftgate_shadow_refusals",
        "counter",
        "Candidates that a guardrail in shadow would have refused, by the first reason.",
        ("reason",),
        (_words(CANDIDATE_REASONS),),
    ),
    STALE,
    Metric("liftgate_fallbacks", "counter", "Times a stage took its fallback.", ("stage",), (STAGES,)),
    Metric(
        "liftgate_errors",
        "counter",
        "Faults of ours: calls answered INTERNAL, and what telemetry itself failed to count.",
        ("where",),
        (("call", "telemetry"),),
    ),
    Metric("liftgate_duplicates", "counter", "Requests answered from memory because their request_id was known."),
    Metric("liftgate_recovered", "counter", "Decisions whose record had to be completed after another worker's crash."),
    Metric("liftgate_events", "counter", "Events answered, by what became of them.", ("outcome",), (EVENT_OUTCOMES,)),
    Metric(
        "liftgate_events_uncounted",
        "counter",
        "Events in the event log that caps and pauses could not count, or not in full, by cause.",
        ("cause",),
        (UNCOUNTED,),
    ),
    Metric("liftgate_log_bytes", "counter", "Bytes written.", ("log",), (LOGS,)),
    Metric("liftgate_log_records", "counter", "Records written.", ("log",), (LOGS,)),
    Metric(
        "liftgate_log_losses",
        "counter",
        "Records not in the log, or not surely, by cause. Under `refuse` none of them was acknowledged.",
        ("log", "cause"),
        (LOGS, LOSSES),
    ),
    Metric(
        "liftgate_log_quarantined_bytes",
        "counter",
        "Bytes of dead writers' segments that could not be read, moved to .bad files.",
        ("log",),
        (LOGS,),
    ),
    Metric("liftgate_erasures", "counter", "People erased, repeats included."),
    Metric("liftgate_erased_again", "counter", "People erased again because the store had become older than their erasure."),
    Metric("liftgate_reloads", "counter", "Reloads of the bundle.", ("result",), (("swapped", "unchanged", "refused"),)),
    Metric("liftgate_workers_without_controls", "gauge", "Workers that do not know what is stopped and approved, and so show nothing."),
    Metric("liftgate_stops", "gauge", "Things stopped by the kill switch, summed over workers."),
    Metric("liftgate_unapproved_offers", "gauge", "Sensitive offers not shown for want of an approval, summed over workers."),
    Metric("liftgate_worker_restarts", "counter", "Workers started again after they died."),
    Metric("liftgate_workers_serving", "gauge", "Workers whose health says SERVING."),
)
"""Beside these, the exporter computes `liftgate_holdout_share` and `liftgate_bundle_info`."""

LAYOUT = Layout(METRICS)
