"""What a history of consent says, verified, as plain data and as lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from liftgate.adapters.consent_client import HistoryResponse
from liftgate.app.counted import counted
from liftgate.domain.consent_history import KEPT, faults, read, written_past


@dataclass(frozen=True, slots=True)
class Told:
    """A history, looked at."""

    whole: bool
    plain: dict[str, Any]
    lines: list[str]


def told(response: HistoryResponse) -> Told:
    """Verify a history and put it in words."""
    pairs, wrong = [], []
    for one in response.entries:
        # What the hash is over says everything; the other fields are the same for readers in a hurry.
        entry = read(one.hashed[:-1].encode() + b',"hash":"' + one.hash.encode() + b'"}') if one.hashed.endswith("}") else None
        if entry is None:
            wrong.append("an entry cannot be read")
        else:
            pairs.append((entry, one.hashed.encode()))
    entries = [entry for entry, _ in pairs]
    wrong += faults(pairs)
    past = written_past(entries, response.digest_now)
    plain = {"whole": not wrong, "faults": wrong, "written_past": past, "entries": entries, "digest_now": response.digest_now}
    lines = [_line(entry) for entry in entries] or ["no change is on record"]
    if entries and entries[0]["sequence"]:
        lines.insert(0, f"(dropped: the {entries[0]['sequence']:,} oldest; the newest {KEPT} are kept)")
    lines += [f"note: {one}" for one in past]
    lines += [f"WRONG: {one}" for one in wrong] or (
        [f"{counted(len(entries), 'entry', 'entries')}, each bound to the one before: whole"] if entries else []
    )
    return Told(not wrong, plain, lines)


def _line(entry: dict[str, Any]) -> str:
    consent = entry["consent"]
    rest = ", ".join(_told(name, value) for name, value in consent.items() if name not in ("purpose", "status"))
    at = datetime.fromtimestamp(entry["at_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{entry['sequence']:>4}  {at}  {entry['actor']}: {consent['purpose']} {consent['status']}" + (f" ({rest})" if rest else "")


def _told(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if name.endswith("_at_ms"):
        return f"{words.removesuffix(' at ms')} {datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S UTC}"
    return f"{words} {value}"
