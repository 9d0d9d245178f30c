"""The split of a user's table, as `liftgate measure srm` answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liftgate.measure.refusal import Misused
from liftgate.measure.srm import Srm, refusal, srm
from liftgate.measure.table import Table, open_table
from liftgate.measure.unit import ROW, by_unit

DEFINITION = (
    "chi-square of exact unit counts against the planned shares, alarm at p < 0.001; "
    "e-value: Dirichlet-multinomial around the planned shares, alarm above 1000 at any look"
)


@dataclass(frozen=True, slots=True)
class Shares:
    """What was planned."""

    whole: Mapping[str, float] | None
    """Weights by arm; None: nobody said."""
    column: str = ""
    """The stratum in whose values other shares were planned; empty: in none."""
    within: Mapping[str, Mapping[str, float]] | None = None
    """Weights by arm, by value of that stratum."""

    def of(self, stratum: Mapping[str, str]) -> Mapping[str, float] | None:
        """Return the weights of a stratum, by its columns' values. Raises Misused where only others were planned."""
        if self.within is None or self.column not in stratum:
            return self.whole
        value = stratum[self.column]
        if value not in self.within and self.whole is None:
            raise Misused(f"--share says what was planned for {', '.join(self.within)} of {self.column!r}, and nothing for {value!r}")
        return self.within.get(value, self.whole)

    def pooled(self, units: Mapping[str, int]) -> Mapping[str, float] | None:
        """Return the weights over all strata: those planned in each, by its units."""
        if self.within is None:
            return self.whole
        total: dict[str, float] = {}
        for value, n in units.items():
            weights = self.of({self.column: value}) or {}
            for arm, weight in weights.items():
                total[arm] = total.get(arm, 0.0) + n * weight / sum(weights.values())
        return total


def shares_of(words: Sequence[str], strata: Sequence[str] = ()) -> Shares:
    """Read ARM=WEIGHT and STRATUM=VALUE:ARM=WEIGHT options. Raises Misused."""
    whole: dict[str, float] = {}
    within: dict[str, dict[str, float]] = {}
    columns: set[str] = set()
    for word in words:
        left, _, number = word.rpartition("=")
        column = next((name for name in strata if left.startswith(f"{name}=") and ":" in left[len(name) + 1 :]), "")
        value, _, arm = left[len(column) + 1 :].rpartition(":") if column else ("", "", left)
        try:
            weight = float(number)
        except ValueError:
            arm = ""
        if not arm:
            raise Misused(f"--share {word!r} is not ARM=WEIGHT, such as treatment=0.9, nor STRATUM=VALUE:ARM=WEIGHT of a --stratum")
        (within.setdefault(value, {}) if column else whole)[arm] = weight
        columns |= {column} if column else set()
    if len(columns) > 1:
        raise Misused(f"--share gives shares within {' and within '.join(sorted(columns))}: give them within one stratum")
    return Shares(whole or None, *((columns.pop(), within) if within else ("", None)))


def counts_of(table: Table, unit: str, arm: str, stratum: str | None = None) -> dict[str, dict[str, int]]:
    """Return exact unit counts by arm, for each value of the stratum (one value, "", without). Raises Refused, Misused."""
    keys = [arm, stratum] if stratum else [arm]
    cells = by_unit(table, unit, keys).statistics({}, by=keys)
    arms = sorted({key[0] for key in cells})
    strata = sorted({key[1] for key in cells}) if stratum else [""]
    return {s: {a: cells[(a, s) if stratum else (a,)].n if ((a, s) if stratum else (a,)) in cells else 0 for a in arms} for s in strata}


def check_split(path: str, unit: str, arm: str, share: Sequence[str], strata: Sequence[str], where: str) -> dict[str, Any]:
    """Return the split as plain data: n and shares by arm, chi2, df, p_value, e_value, strata, refusal. Raises Refused, Misused."""
    planned = shares_of(share, strata)
    table = open_table(path, text=[name for name in (unit, arm, *strata) if name != ROW], where=where)
    counts = {name: counts_of(table, unit, arm, name) for name in strata}
    weights = planned.pooled({value: sum(one.values()) for value, one in counts.get(planned.column, {}).items()})
    whole = srm(counts_of(table, unit, arm)[""], weights)
    parts = {
        f"{name}={value}": srm(of, without_absent(planned.of({name: value}) or weights, of))
        for name in strata
        for value, of in counts[name].items()
    }
    refused = refusal(whole) or next((r for name, one in parts.items() if (r := refusal(one, f" where {name}"))), None)
    return {
        "what": "srm",
        "definition": DEFINITION,
        "unit": unit,
        "shares_given": bool(share),
        **_plain(whole),
        "strata": {name: _plain(one) for name, one in parts.items()},
        "refusal": refused.as_json() if refused else None,
    }


def without_absent(weights: Mapping[str, float] | None, counts: dict[str, int]) -> Mapping[str, float] | None:
    """Leave out of a stratum's counts the arms that it was not to have, where they have nobody; return its weights."""
    for arm in [arm for arm, n in counts.items() if weights is not None and arm not in weights and n == 0]:
        del counts[arm]
    return weights


def _plain(found: Srm) -> Mapping[str, Any]:
    return {
        "n": found.counts,
        "shares": found.shares,
        "chi2": found.chi2,
        "df": found.df,
        "p_value": found.p_value,
        "e_value": found.e_value,
        "log_e_value": found.log_e_value,
        "mismatch": found.mismatch,
    }
