"""What people type: durations, targets and rates."""

from __future__ import annotations

import re

from liftgate.load.schedule import Schedule, Step, plan, ramp

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")
_RAMP = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?")
_METHOD = re.compile(r"/[\w.]+/\w+")
_STEPS = 10


def duration_s(text: str, option: str) -> float:
    """Return a duration in s; a bare number is seconds. Raises ValueError with what is wanted."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise ValueError(f"{option}: wants a duration like 500ms, 30s or 2m, not {text!r}")
    return float(found[1]) * _SECONDS[found[2]]


def address(target: str, any_host: bool) -> tuple[str, int]:
    """Return host and port. Raises ValueError with what is wanted, and for other machines unless `any_host`."""
    if "://" in target:
        raise ValueError(f"--target: wants HOST:PORT, not {target!r}; `liftgate load` speaks plaintext gRPC only, no TLS")
    host, colon, port = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"--target: wants HOST:PORT, not {target!r}")
    if not any_host and not _LOOPBACK.fullmatch(host):
        raise ValueError(
            f"--target: {host} is another machine, and a load test of somebody else's is an attack; "
            "say --yes-this-is-my-server if it is yours to load"
        )
    return host, int(port)


def method(text: str, usual: str) -> str:
    """Return the path of a gRPC method, the usual one where none is named. Raises ValueError with what is wanted."""
    if text and not _METHOD.fullmatch(text):
        raise ValueError(f"--method: wants /package.Service/Method, such as {usual}, not {text!r}")
    return text or usual


def schedule(rate: float | None, ramp_text: str | None, duration: float, arrivals: str, seed: int) -> Schedule:
    """Return the schedule of one rate, or of FROM:TO[:STEP] with `duration` s for each step. Raises ValueError."""
    if ramp_text is None:
        return plan([Step(rate or 0.0, duration)], arrivals, seed)
    found = _RAMP.fullmatch(ramp_text)
    first, last, step = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    if not first or not last or (found and found[3] and not step):
        raise ValueError(f"--ramp: wants FROM:TO or FROM:TO:STEP in requests per second, each above 0, not {ramp_text!r}")
    return plan(ramp(first, last, step or max(abs(last - first) / (_STEPS - 1), 1.0), duration), arrivals, seed)
