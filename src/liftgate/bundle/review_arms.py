"""What arms of layers do with one offer, as far as an approval of it is concerned: where else it is shown, at which worth, scored by what,
and past which of its rules. Shares, policies and what is done with other offers stay out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from liftgate.bundle.arm_models import arms_written, key_of
from liftgate.bundle.candidates import candidates, named
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_layers import AblationRule
from liftgate.bundle.sections import Draft

_EXCUSED = ("applicable_if", "suitable_if")


def highest_value(draft: Draft, name: str, value: float) -> float:
    """Return the most that an offer is worth to anybody."""
    return max([value, *(changes.values[name] for *_, changes in arms_written(draft) if name in changes.values)])


def arms_of_offer(
    draft: Draft, manifests: Mapping[str, Any], name: str, offer: OfferRule, group: Group | None, keys: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Return what arms, `layer/arm` each, do with an offer; empty: none concerns it. `keys`: what of a manifest matters.

    `manifests` are the canonical form's, by model, and by `name@version` for versions that arms alone use.
    """
    offers = draft.section("offers", OfferRule)
    pair = (offer.treated, offer.uplift.untreated if offer.uplift else None)
    models = {one.model for one in pair if one is not None}
    kept = tuple(keys)
    found: dict[str, dict[str, Any]] = {}
    for layer, arm, rule, changes in arms_written(draft):
        does: dict[str, Any] = {}
        if changes.offers is not None and name in named(changes.offers, offers):
            does["shown_at"] = sorted(rule.placements or ())
        if name in changes.values:
            does["value"] = changes.values[name]
        for model in sorted(models & set(changes.models)):
            key = key_of(model, changes.models[model])
            manifest = manifests[key]
            does.setdefault("model", {})[model] = {"by": key} | {part: manifest.get(part) for part in kept}
        if does:
            found[f"{layer}/{arm}"] = does
    without = [key for key in _EXCUSED if any(getattr(one, key) is not None for one in (offer, group) if one is not None)]
    for layer, ablation in draft.section("layers", AblationRule).items():
        if without and "eligibility_only" in ablation.arms and _meets(draft, ablation, name):
            found[f"{layer}/eligibility_only"] = {"without": without}
    return found


def _meets(draft: Draft, rule: AblationRule, name: str) -> bool:
    """Say whether the offer can be shown where a layer looks."""
    offers, places = draft.section("offers", OfferRule), draft.section("placements", PlacementRule)
    here = {place for place in places if rule.placements is None or place in rule.placements}
    if any(name in candidates(places[place], offers) or name in places[place].default_offers for place in here):
        return True
    shown = [one for _, _, one, changes in arms_written(draft) if changes.offers is not None and name in named(changes.offers, offers)]
    return any(here & set(one.placements or ()) for one in shown)


def arm_words(arms: Mapping[str, Mapping[str, Any]], currency: str) -> list[str]:
    """Return what arms do with an offer, a sentence each."""
    said = []
    for where, does in arms.items():
        layer, _, arm = where.rpartition("/")
        parts = [f"shown at {', '.join(does['shown_at'])}"] if does.get("shown_at") else []
        parts += [f"worth {does['value']:g} {currency}"] if "value" in does else []
        parts += [
            f"scored by {one['by']} instead of {model} (SHA-256 {one['sha256'][:12]}...)" for model, one in does.get("model", {}).items()
        ]
        parts += [f"shown to people for whom {' or '.join(does['without'])} does not hold"] if does.get("without") else []
        said.append(f"in arm {arm} of layer {layer}: {'; '.join(parts)}")
    return said
