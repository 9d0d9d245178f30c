"""The three layers of eligibility and suppression, through a whole bundle, against Google's CEL."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.bundle.rules import KINDS
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.guardrails.base import Guardrail, Verdict
from liftgate.guardrails.eligibility import Eligibility
from liftgate.guardrails.suppression import Suppression
from tests.properties.expressions import NOW_MS, OTHER, SCHEMA, Tree, people, text, truths
from tests.properties.reference_cel import Reference
from tests.properties.test_conditions import in_cel

AGAINST = {
    "eligible_if": (Reason.NOT_ELIGIBLE, Reason.ELIGIBILITY_UNKNOWN),
    "applicable_if": (Reason.NOT_APPLICABLE, Reason.APPLICABILITY_UNKNOWN),
    "suitable_if": (Reason.NOT_SUITABLE, Reason.SUITABILITY_UNKNOWN),
    "suppress_if": (Reason.SUPPRESSED, Reason.SUPPRESSION_UNKNOWN),
}
OWNERS = ("shipping", "free-shipping")
"""The group and its offer, as in `expressions.OFFER`."""

rules = st.fixed_dictionaries({}, optional={(owner, kind): truths(2) for owner in OWNERS for kind in KINDS})


def bundle(written: Mapping[tuple[str, str], Tree]) -> Bundle:
    """Return a bundle whose group and offer carry these conditions, through its files."""

    def section(owner: str) -> dict[str, str]:
        return {kind: text(tree) for (whose, kind), tree in written.items() if whose == owner}

    def described(columns: Any) -> dict[str, Any]:
        return {
            c.name.split(".")[1]: {"type": c.type.value} | ({"values": list(c.values)} if c.values else {})
            for c in columns
            if c.name != "context.channel"
        }

    document = {
        "bundle": "layers",
        "currency": "EUR",
        "time_zone": "UTC",
        "profile_purpose": "none",
        "features": described(SCHEMA.profile),
        "context": described(SCHEMA.context),
        "groups": {"shipping": section("shipping")},
        "offers": {"free-shipping": {"group": "shipping", "value": 4.0} | section("free-shipping"), "welcome": {"value": 1.0}},
        "placements": {"p": {"offers": "all", "select": {"policy": "epsilon_greedy", "epsilon": 0.1}}},
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bundle.yaml").write_text(json.dumps(document), encoding="utf-8")
        return load_bundle(Path(folder))


def batch(loaded: Bundle, group: list[dict[str, Any]]) -> Batch:
    """Return people as a batch, as far as conditions look."""
    # Channel codes are the bundle's own: a channel that no condition names is just another text.
    rows = [[column.encode(person[column.name]) for column in loaded.schema.inputs if column.name in person] for person in group]
    made = Batch([DecideRequest("r", "p", "p", context=Context()) for _ in group], np.full(len(group), NOW_MS, dtype=np.int64))
    made.inputs = np.full((len(group), len(loaded.schema.inputs)), np.nan)
    made.inputs[:, [i for i, column in enumerate(loaded.schema.inputs) if column.name in group[0]]] = rows
    return made


def verdict(tree: Tree, person: dict[str, Any]) -> bool | None:
    """Return what Google's CEL says, None an error; where our limits are narrower than CEL's, what the scalar reference says."""
    reference = Reference(person)
    ours = reference.evaluate(tree)
    # Undeclared text is our notion, not CEL's.
    return ours if reference.limited or OTHER in person.values() else in_cel(text(tree), person)


def first_objection(written: Mapping[tuple[str, str], Tree], kinds: tuple[str, ...], person: dict[str, Any]) -> Reason | None:
    """Return the reason of the first condition that does not let the offer pass: by section, the group's before the offer's own."""
    for kind in kinds:
        for owner in OWNERS:
            if (owner, kind) in written:
                found = verdict(written[owner, kind], person)
                if found is None:
                    return AGAINST[kind][1]
                if found is (kind == "suppress_if"):
                    return AGAINST[kind][0]
    return None


def nothing_against(columns: Batch, loaded: Bundle) -> Verdict:
    """Return what a guardrail's None means."""
    shape = (columns.n, len(loaded.offers))
    return Verdict(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize("holes", [False, True], ids=["full", "with holes"])
@settings(max_examples=150, deadline=None)
@given(written=rules, data=st.data())
def test_every_layer_says_what_google_cel_says(holes: bool, written: dict[tuple[str, str], Tree], data: st.DataObject) -> None:
    """For generated conditions of group and offer in all sections, mask and first reason are those that CEL's verdicts give."""
    loaded = bundle(written)
    group = data.draw(people(holes))
    columns = batch(loaded, group)
    guardrails: dict[tuple[str, ...], Guardrail] = {KINDS[:3]: Eligibility(loaded), KINDS[3:]: Suppression(loaded)}
    for kinds, guardrail in guardrails.items():
        found = guardrail.evaluate(columns) or nothing_against(columns, loaded)
        assert found.mask[:, loaded.offer_index["welcome"]].all()
        k = loaded.offer_index["free-shipping"]
        for row, person in enumerate(group):
            wanted = first_objection(written, kinds, person)
            assert bool(found.mask[row, k]) is (wanted is None)
            assert wanted is None or Reason(int(found.reason[row, k])) is wanted
