"""The event log and its funnel, held against a plain count of the file."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from catalog import KINDS
from programme import COMPLETED, PAID, RECEIVED, STEPS, VIEWED, Programme
from service import COMMAND, Failed, environment


def said_by(*arguments: str | Path) -> dict[str, Any]:
    """Run a `liftgate` command with --json and return what it says. Raises Failed unless it ends with 0."""
    words = [*map(str, arguments), "--json"]
    done = subprocess.run([*COMMAND, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        raise Failed(f"`liftgate {' '.join(words[:2])}` ended with exit code {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def same(what: str, found: Any, wanted: Any) -> None:
    """Raise Failed unless what the service has is what the file has."""
    if found != wanted:
        raise Failed(f"{what}: Liftgate has {found}, the file {wanted}")


def plain_funnel(programme: Programme) -> list[int]:
    """Return members who received an offer, then viewed one, then completed one, each after they first received one."""
    begin: dict[str, int] = {}
    for each in programme.log:
        if each.what == RECEIVED:
            begin.setdefault(each.person, each.line)
    did = [
        {e.person for e in programme.log if e.what == step and e.line >= begin.get(e.person, e.line + 1)} for step in (VIEWED, COMPLETED)
    ]
    return [len(begin), len(did[0]), len(did[1]), len(did[0] & did[1])]


def prove_events(log: Path, programme: Programme, out: Path) -> dict[str, Any]:
    """Count the event log, and let `liftgate measure funnel` read it. Raises Failed where a count is not the file's."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    paths = sorted(log.rglob("event-*.parquet"))
    if not paths:
        raise Failed(f"no sealed events below {log}")
    columns = ["event_id", "kind", "name", "person_pseudonym", "offer_id", "occurred_at_ms", "late", "value"]
    events: Any = pa.concat_tables([pq.read_table(path, columns=columns) for path in paths])
    same("events", len(set(events["event_id"].to_pylist())), len(programme.log))
    same("rows of the event log", len(events), len(programme.log))
    same("late events", int(pc.sum(pc.cast(events["late"], "int64")).as_py() or 0), 0)
    back = {signal: what for what, signal in KINDS.items()}
    whats = [back[name or kind.lower()] for kind, name in zip(events["kind"].to_pylist(), events["name"].to_pylist(), strict=True)]
    by_offer = Counter(zip(whats, events["offer_id"].to_pylist(), strict=True))
    same("events by kind and offer", by_offer, Counter((each.what, each.offer) for each in programme.log))
    money = {
        what: round(sum(v or 0.0 for v, w in zip(events["value"].to_pylist(), whats, strict=True) if w == what), 2)
        for what in (*STEPS, PAID)
    }
    same("money", money, {what: round(sum(each.amount for each in programme.log if each.what == what), 2) for what in money})
    table = out / "funnel.parquet"
    people = [pseudonym.hex() for pseudonym in events["person_pseudonym"].to_pylist()]
    pq.write_table(pa.table({"person": people, "what": whats, "at": events["occurred_at_ms"]}), table)
    steps = [word for step in STEPS[1:] for word in ("--step", step)]
    answer = said_by(
        "measure", "funnel", "--table", table, "--unit", "person", "--event", "what", "--assigned", RECEIVED, "--time", "at", *steps
    )
    (funnel,) = answer["funnels"]
    seen, done = funnel["steps"]
    counted = [funnel["n"], seen["units"], done["units"], done["units"] - done["without_previous"]]
    same("the funnel of members", counted, plain_funnel(programme))
    return {
        "events": {what: sum(n for (w, _), n in by_offer.items() if w == what) for what in (*STEPS, PAID)},
        "money_usd": {"paid": money[PAID], "rewards": money[COMPLETED]},
        "by_offer": {offer.name: [by_offer[step, offer.name] for step in STEPS] for offer in programme.offers},
        "members": dict(zip(("received", "viewed", "completed", "completed_of_viewed"), counted, strict=True)),
    }
