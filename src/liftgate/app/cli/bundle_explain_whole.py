"""What a bundle says of all its offers: consent, contact, lists, review, holdouts, as plain statements."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from liftgate.adapters.explanation_arms import ABLATED
from liftgate.app.cases.rules import in_shadow
from liftgate.app.cli.bundle_explain_words import Statement, written
from liftgate.app.counted import counted
from liftgate.bundle.arms import changed
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.difference import flow
from liftgate.bundle.digest import purpose_form
from liftgate.bundle.phrases import (
    IN_SHADOW,
    SHADOWED,
    contact_words,
    exclusion_words,
    guardrail_words,
    list_words,
    need_words,
    permission_words,
    purpose_words,
    quiet_words,
)
from liftgate.bundle.schema_caps import ContactChannels
from liftgate.bundle.schema_consent import ChannelPermission, Purpose
from liftgate.bundle.schema_layers import AblationRule, ExperimentRule, HoldoutRule, ModelControlRule
from liftgate.bundle.schema_review import ReachAbove, ReviewRule, ValueAbove
from liftgate.bundle.schema_suppression import ExclusionRule, ListRule, QuietHours
from liftgate.bundle.sections import Draft

_SAID = frozenset({"features", "context", "guardrails", "purposes", "models", "groups", "offers", "placements", "layers"})


def bundle_statements(draft: Draft, bundle: Bundle) -> list[Statement]:
    """Return what holds for every offer."""
    head = draft.where
    purpose = bundle.purposes[bundle.profile_purpose] if bundle.profile_purpose >= 0 else ""
    profile = f"read only with consent to {purpose}" if purpose else "read without consent: `profile_purpose: none`"
    found = [
        Statement("The bundle", f"values are in {bundle.currency}; calendar windows follow {bundle.time_zone}", head(("currency",))),
        Statement("The bundle", f"what is stored about a person is {profile}", head(("profile_purpose",))),
    ]
    for name, one in draft.section("purposes", Purpose).items():
        found.append(Statement("Consent", purpose_words(name, purpose_form(one)), head(("purposes", name))))
    if bundle.consent.experiment_purpose >= 0:
        purpose = bundle.purposes[bundle.consent.experiment_purpose]
        text = f"nobody is in any layer without consent to {purpose}; everyone else is served as if there were none"
        found.append(Statement("Held out", text, head(("experiment_purpose",))))
    for name, layer in draft.entries["layers"].items():
        found.append(Statement("Held out", _layer(draft, name, layer), head(("layers", name))))
        if isinstance(layer, ExperimentRule):
            for arm, changes in layer.arms.items():
                text = f"{name}, arm {arm}: {layer.coverage * changes.share:.2%}; {'; '.join(changed(changes)) or 'changes nothing'}"
                found.append(Statement("Held out", text, head(("layers", name, "arms", arm))))
    for name in sorted(bundle.shadow.guardrails):
        found.append(Statement(SHADOWED, guardrail_words(name), head(("guardrails", name))))
    for section, entries in draft.entries.items():
        for name, entry in entries.items() if section not in _SAID else ():
            words = _entry(section, name, entry) or f"{name}: {flow(written(draft, (section, name), None))}"
            noted = IN_SHADOW if in_shadow(draft, bundle, section, "quiet_hours" if name == "quiet_hours" else section) else ""
            found.append(Statement(section.replace("_", " ").capitalize(), f"{words}{noted}", head((section, name))))
    return found


def _entry(section: str, name: str, entry: Any) -> str:
    """Return an entry in words; empty: there are none for its kind."""
    if isinstance(entry, ListRule):
        return list_words(name, entry.model_dump())
    if isinstance(entry, ExclusionRule):
        return exclusion_words(entry.model_dump())
    if isinstance(entry, ReviewRule):
        return f"{name}: {need_words(entry.model_dump())}"
    if isinstance(entry, ChannelPermission):
        return permission_words(name, entry.root)
    if isinstance(entry, QuietHours):
        return quiet_words(entry.model_dump())
    if isinstance(entry, ValueAbove):
        return f"offers worth more than {entry.root:g} are sensitive, class price"
    if isinstance(entry, ReachAbove):
        return (
            f"offers that may reach more than {counted(entry.root, 'person', 'people')}, or have no total cap, are sensitive, class reach"
        )
    if isinstance(entry, ContactChannels):
        return "; ".join(contact_words(channel, rule.model_dump()) for channel, rule in entry.root.items())
    return ""


def _layer(draft: Draft, name: str, layer: BaseModel) -> str:
    if isinstance(layer, ExperimentRule):
        where = "everywhere" if layer.placements is None else f"at {', '.join(layer.placements)}"
        return (
            f"{name}: {len(layer.arms)} ways of deciding are compared {where}, each for its own part of all {layer.unit}s, always the same"
        )
    if isinstance(layer, AblationRule):
        arms = "; ".join(f"{arm}, {layer.coverage * rule.share:.2%}: {ABLATED[arm]}" for arm, rule in layer.arms.items())
        return f"{name}: for a few a part of deciding is left out, to learn what it is worth: {arms}"
    if isinstance(layer, ModelControlRule):
        return f"{name}: for {layer.share:.2%} of all {layer.unit}s {ABLATED['random_propensity']}"
    if not isinstance(layer, HoldoutRule):
        return f"{name}: {flow(written(draft, ('layers', name), None))}"
    whom = f"{name}: {layer.share:.2%} of {'people' if layer.unit == 'person' else f'{layer.unit}s'}, always the same ones, are"
    shown = {"none": "nothing", "default_offer": "the placement's default offer", "next_best": "the next best offer"}[layer.answer]
    if layer.groups is None and layer.offers is None:
        return f"{whom} measured and not treated; they are shown {shown}"
    withheld = ", ".join([*(f"group {group}" for group in layer.groups or ()), *(layer.offers or ())])
    return f"{whom} not shown {withheld}, to learn what that is worth; they are shown {shown} instead"
