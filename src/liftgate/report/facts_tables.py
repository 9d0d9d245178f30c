"""Questions to the two tables that a log becomes: one row a person, and one row a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liftgate.measure.experiment import Made
from liftgate.measure.table import open_table

Answer = dict[str, Any]
KINDS = ("email_sent", "email_delivered", "email_opened", "exposure", "email_clicked", "click", "cart_action", "purchase")
"""Kinds of events in the order in which people come to them; those that a log has are steps of its funnel."""
_GRIDS = (("1w", 604_800), ("1d", 86_400), ("6h", 21_600), ("1h", 3_600), ("10m", 600), ("1m", 60), ("1s", 1))
_LOOKS = 8  # the coarsest grid that gives as many
_SCORED = "score is not null"
AGAIN = "purchase_again"
"""A second purchase within the window: the step of retention."""
MOST_SEGMENTS, MOST_VALUES, _NEARLY = 3, 8, 0.97


@dataclass(frozen=True, slots=True)
class Extra:
    """What more the headline is asked, as far as the table can say it."""

    strata: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    triggered: str = ""
    exposed: str = ""

    def words(self) -> list[str]:
        """Return them as options of the command."""
        found = [f"--stratum {one}" for one in self.strata] + [f"--segment {one}" for one in self.segments]
        found += [f"--triggered {self.triggered}"] if self.triggered else []
        return found + ([f"--exposed {self.exposed}"] if self.exposed else [])


def extra_of(path: Path, against_nothing: bool, made: Made, segments: Sequence[str]) -> Extra:
    """Return what the people's table can be asked; `against_nothing`: the control is shown nothing."""
    table = open_table(str(path))
    rows = table.rows
    seen = table.one({"least": rows.triggered.min(), "most": rows.triggered.max()})
    exposed = against_nothing and bool(table.one({"n": rows.exposed.sum()})["n"])
    return Extra(
        strata=("version",) if made.versions > 1 else (),
        segments=tuple(segments),
        triggered="triggered" if seen["least"] != seen["most"] else "",
        exposed="exposed" if exposed else "",
    )


def segments_of(path: Path, columns: Sequence[str]) -> list[str]:
    """Return the first columns that split people into a few groups, none of which is nearly everybody."""
    table = open_table(str(path))
    found = []
    for name in columns:
        each = [row["n"] for row in table.fetch(table.rows.group_by(name).aggregate(n=table.rows.count()))]
        if 1 < len(each) <= MOST_VALUES and max(each) <= _NEARLY * sum(each):
            found.append(name)
    return found[:MOST_SEGMENTS]


def values_of(path: Path, steps: Sequence[str]) -> dict[str, float]:
    """Return what one unit at each step of purchases is worth: an order's mean value, to four digits; nothing where orders have none."""
    table = open_table(str(path))
    if "purchase" not in steps:
        return {}
    seen = table.one({"value": table.rows.purchase_value.sum(), "orders": table.rows.purchase_count.sum()})
    if not seen["orders"] or not seen["value"] > 0:
        return {}
    worth = float(f"{seen['value'] / seen['orders']:.4g}")
    return {step: worth for step in steps if step in ("purchase", AGAIN)}


def newest(path: Path, made: Made) -> tuple[str, tuple[str, ...]]:
    """Return a condition on the newest bundle's people and its planned shares, where shares changed between bundles; else nothing.

    A course over time that pools people of different shares would take the season for an effect.
    """
    if not made.shares_within:
        return "", ()
    table = open_table(str(path))
    each = table.fetch(table.rows.group_by("version").aggregate(at=table.rows.assigned_at_ms.max()))
    version = max(each, key=lambda one: one["at"])["version"]
    start = f"version={version}:"
    return f"version = '{version}'", tuple(one.removeprefix(start) for one in made.shares_within if one.startswith(start))


def shares_that_fit(path: Path, made: Made) -> tuple[str, ...]:
    """Return the planned shares where they name exactly the arms that the table has."""
    table = open_table(str(path))
    arms = {row["arm"] for row in table.fetch(table.rows.select("arm").distinct())}
    return made.shares if {one.rpartition("=")[0] for one in made.shares} == arms else ()


def step_of(path: Path) -> str:
    """Return the grid of looks: the coarsest that gives at least eight."""
    table = open_table(str(path))
    seen = table.one({"first": table.rows.assigned_at_ms.min(), "last": table.rows.assigned_at_ms.max()})
    span_s = (seen["last"] - seen["first"]) / 1000
    return next((name for name, seconds in _GRIDS if span_s >= _LOOKS * seconds), _GRIDS[-1][0])


def steps_of(path: Path, made: Made) -> list[str]:
    """Return the funnel's steps: an offer was chosen, then every kind of event that somebody did, then another purchase."""
    table = open_table(str(path))
    there = [kind for kind in KINDS if kind in made.kinds]
    seen = table.one({kind: table.rows[kind].sum() for kind in there})
    steps = ["triggered", *(kind for kind in there if seen[kind])]
    again = "purchase" in steps and table.one({"n": table.rows[AGAIN].sum()})["n"]
    return [*steps, AGAIN] if again else steps


def kind_of(metric: str) -> str:
    """Return the kind of event that a metric's column counts."""
    return metric.split(":")[0].removesuffix("_value").removesuffix("_count")


def sequence(path: Path, control: str, metric: str, every: str, n_star: int, share: Sequence[str], where: str) -> Answer:
    """Return what `measure sequential` says of a column. Raises Misused, Refused."""
    from liftgate.measure.sequential_answer import answer_sequence
    from liftgate.measure.sequential_table import read_looks

    streams = read_looks(open_table(str(path), text=["arm"], where=where), "row", "arm", control, metric, "assigned_at", every)
    return answer_sequence(streams, n_star, None, 0.05, list(share))


def funnel(
    path: Path, control: str, steps: Sequence[str], segment: str, share: Sequence[str], values: Mapping[str, float], where: str
) -> Answer:
    """Return what `measure funnel` says. Raises Misused, Refused."""
    from liftgate.measure.funnel_answer import Options, answer_funnel
    from liftgate.measure.funnel_table import read_funnel

    table = open_table(str(path), text=["arm", *([segment] if segment else [])], where=where)
    return answer_funnel(
        read_funnel(table, "row", steps, "arm", segment or None), Options(control, share=list(share), recovered={}, values=values)
    )


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the table of decisions."""

    what: str
    words: str
    compute: Callable[[], Answer]


def about_decisions(path: Path) -> dict[str, Question]:
    """Return what the table of decisions is asked of scores and policies, by the name of the answer."""
    name = str(path)

    def calibrated(where: str) -> Callable[[], Answer]:
        from liftgate.measure.calibration_table import check_calibration

        return lambda: check_calibration(name, score="score", outcome="reward", where=where)

    def valued() -> Answer:
        from liftgate.measure.ope_table import value_policy

        logged, target = "probability", "even"
        return value_policy(name, action="offer", reward="reward", logged_probability=logged, target_probability=target, cluster="unit")

    score = f"--table {name} --score score --outcome reward --where"
    explored = f"{_SCORED} and branch = 'EXPLORE'"
    ope = "--action offer --reward reward --logged-probability probability --target-probability even --cluster unit"
    return {
        "calibration": Question("calibration", f'{score} "{_SCORED}"', calibrated(_SCORED)),
        "calibration_explored": Question("calibration", f'{score} "{explored}"', calibrated(explored)),
        "off_policy": Question("ope", f"--table {name} {ope}", valued),
    }
