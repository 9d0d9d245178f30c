"""The conditions of layers: who may be in one, known once the profile is read. Unknown is no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liftgate.bundle.conditions import (
    ColumnCondition,
    ConditionError,
    OfferConstants,
    Scope,
    Tainted,
    compile_condition,
    names_offer,
    parse,
)
from liftgate.bundle.rules import Written, note
from liftgate.bundle.schema_layers import LayerRule
from liftgate.bundle.sections import Draft

_NO_OFFER = OfferConstants("", "", 1.0)


def written_of_layers(draft: Draft) -> list[Written]:
    """Return every `if:` of a layer. Syntax mistakes are noted, and that a condition names the offer."""
    found = []
    for name, rule in draft.section("layers", LayerRule).items():
        text = getattr(rule, "condition", None)
        if text is None:
            continue
        path = ("layers", name, "if")
        try:
            node = parse(text)
        except ConditionError as err:
            note(draft, path, err)
            continue
        if names_offer(node):
            mend = "use `profile.` and `context.` alone; conditions on offers stand with the offers"
            draft.refuse(path, "names `offer.`, and a layer is about people, before any offer is looked at", mend)
            continue
        found.append(Written("if", path, text, node, _NO_OFFER, -1))
    return found


def compile_layer_conditions(draft: Draft, written: Sequence[Written], scope: Scope) -> Mapping[str, ColumnCondition]:
    """Return the condition of each layer that has one, by its name. Flaws become mistakes of the draft."""
    found = {}
    for item in written:
        try:
            found[str(item.path[1])] = compile_condition(item.text, item.node, scope, item.offer)
        except ConditionError as err:
            note(draft, item.path, err)
        except Tainted:
            pass
    return found
