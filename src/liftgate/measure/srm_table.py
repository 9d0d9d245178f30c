"""The split of a user's table, as `liftgate measure srm` answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liftgate.measure.refusal import Misused
from liftgate.measure.srm import Srm, refusal, srm
from liftgate.measure.table import Table, open_table
from liftgate.measure.unit import ROW, by_unit

DEFINITION = (
    "chi-square of exact unit counts against the planned shares, alarm at p < 0.001; "
    "e-value: Dirichlet-multinomial around the planned shares, alarm above 1000 at any look"
)


def shares_of(words: Sequence[str]) -> dict[str, float] | None:
    """Read ARM=WEIGHT options; None where there are none. Raises Misused."""
    weights: dict[str, float] = {}
    for word in words:
        arm, _, weight = word.rpartition("=")
        try:
            weights[arm] = float(weight)
        except ValueError:
            arm = ""
        if not arm:
            raise Misused(f"--share {word!r} is not ARM=WEIGHT, such as treatment=0.9")
    return weights or None


def counts_of(table: Table, unit: str, arm: str, stratum: str | None = None) -> dict[str, dict[str, int]]:
    """Return exact unit counts by arm, for each value of the stratum (one value, "", without). Raises Refused, Misused."""
    keys = [arm, stratum] if stratum else [arm]
    cells = by_unit(table, unit, keys).statistics({}, by=keys)
    arms = sorted({key[0] for key in cells})
    strata = sorted({key[1] for key in cells}) if stratum else [""]
    return {s: {a: cells[(a, s) if stratum else (a,)].n if ((a, s) if stratum else (a,)) in cells else 0 for a in arms} for s in strata}


def check_split(path: str, unit: str, arm: str, share: Sequence[str], strata: Sequence[str], where: str) -> dict[str, Any]:
    """Return the split as plain data: n and shares by arm, chi2, df, p_value, e_value, strata, refusal. Raises Refused, Misused."""
    weights = shares_of(share)
    table = open_table(path, text=[name for name in (unit, arm, *strata) if name != ROW], where=where)
    whole = srm(counts_of(table, unit, arm)[""], weights)
    parts = {f"{name}={value}": srm(counts, weights) for name in strata for value, counts in counts_of(table, unit, arm, name).items()}
    refused = refusal(whole) or next((r for name, one in parts.items() if (r := refusal(one, f" where {name}"))), None)
    return {
        "what": "srm",
        "definition": DEFINITION,
        "unit": unit,
        "shares_given": weights is not None,
        **_plain(whole),
        "strata": {name: _plain(one) for name, one in parts.items()},
        "refusal": refused.as_json() if refused else None,
    }


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
