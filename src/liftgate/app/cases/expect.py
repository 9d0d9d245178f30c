"""What a case wants against what came, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from liftgate.adapters.explanation import SENTENCES
from liftgate.app.cases.document import NOTHING
from liftgate.app.cases.reading import Planned
from liftgate.bundle.compiled import Bundle
from liftgate.domain.reason import Reason
from liftgate.pipeline.walk import Walk

_ROUNDING = 1e-6


def problems(planned: Planned, walk: Walk) -> list[str]:
    """Return a sentence for everything that came otherwise than wanted."""
    return list(_problems(planned, walk))


def reason_of(walk: Walk, offer: int) -> Reason:
    """Return what became of an offer: CHOSEN, ALLOWED or the reason against it; UNSPECIFIED: it is no candidate."""
    out = walk.batch.not_shown
    code = Reason(int(walk.batch.reason[0, offer])) if out is None or not out[0, offer] else Reason(int(out[0, offer]))
    return Reason.CHOSEN if code is Reason.ALLOWED and offer in walk.decisions[0].chosen else code


def _problems(planned: Planned, walk: Walk) -> Iterator[str]:
    want, bundle, decision = planned.case.want, walk.live.bundle, walk.decisions[0]
    if want.allowed is not None:
        yield from _allowed(want.allowed, walk, planned.placement)
    for offer_id, name in want.reasons.items():
        got = reason_of(walk, bundle.offer_index[offer_id])
        # Whoever says ALLOWED means that it may be shown; whether it was chosen is another line.
        if got.name != name and not (name == "ALLOWED" and got is Reason.CHOSEN):
            yield f"{offer_id}: expected {name}, got {_why(offer_id, got, planned.placement)}"
    for offer_id, name in want.shadow.items():
        noted = walk.batch.shadow_reason
        code = Reason.UNSPECIFIED if noted is None else Reason(int(noted[0, bundle.offer_index[offer_id]]))
        if (code.name if code else NOTHING) != name:
            yield f"{offer_id}: expected {name} in shadow, got {code.name if code else NOTHING}"
    for label, wanted, offers in (
        ("chosen", want.chosen, decision.chosen),
        ("answer", want.answer, decision.offered),
        ("would_offer", want.would_offer, decision.would_offer),
        ("withheld", want.withheld, decision.withheld),
    ):
        names = [bundle.offers[k].offer_id for k in offers]
        if wanted is not None and names != ([] if wanted == [NOTHING] and NOTHING not in bundle.offer_index else wanted):
            yield f"{label}: expected {_listed(wanted)}, got {_listed(names)}{_instead(wanted, walk, planned.placement)}"
    refused = {bundle.offers[k].offer_id: reason.name for k, reason in decision.refused}
    if want.refused is not None and want.refused != refused:
        yield f"refused: expected {_reasons(want.refused)}, got {_reasons(refused)}"
    for offer_id, probability in want.probability.items():
        got_p = float(walk.batch.probability[0, 0, bundle.offer_index[offer_id]])
        if abs(got_p - probability) > _ROUNDING:
            yield f"{offer_id}: expected to be chosen with probability {probability:g}, got {got_p:.6g}"
    if want.default is not None and decision.default_served is not want.default:
        yield f"default: expected {_said(want.default)}, got {_said(decision.default_served)}"
    if want.reason is not None and decision.reason.name != want.reason:
        yield f"reason: expected {want.reason}, got {decision.reason.name} ({SENTENCES[decision.reason]})"
    if want.degraded is not None and decision.degraded is not want.degraded:
        yield f"degraded: expected {_said(want.degraded)}, got {_said(decision.degraded)}"


def _allowed(wanted: Sequence[str], walk: Walk, placement: str) -> Iterator[str]:
    bundle: Bundle = walk.live.bundle
    for offer_id in wanted:
        got = reason_of(walk, bundle.offer_index[offer_id])
        if got not in (Reason.ALLOWED, Reason.CHOSEN):
            yield f"{offer_id}: expected to be allowed, got {_why(offer_id, got, placement)}"
    for k, offer in enumerate(bundle.offers):
        if offer.offer_id not in wanted and reason_of(walk, k) in (Reason.ALLOWED, Reason.CHOSEN):
            yield f"{offer.offer_id}: expected not to be allowed, and it passed every guardrail"


def _instead(wanted: Sequence[str], walk: Walk, placement: str) -> str:
    """Return why a wanted offer could not be, where it could not."""
    bundle = walk.live.bundle
    for offer_id in wanted:
        k = bundle.offer_index.get(offer_id)
        if k is not None and (got := reason_of(walk, k)) not in (Reason.ALLOWED, Reason.CHOSEN):
            return f"; {offer_id}: {_why(offer_id, got, placement)}"
    return ""


def _why(offer_id: str, got: Reason, placement: str) -> str:
    if got is Reason.UNSPECIFIED:
        return f"no candidate: it is not among the offers of {placement}"
    return f"{got.name} ({SENTENCES[got]})"


def _reasons(refused: Mapping[str, str]) -> str:
    return ", ".join(f"{offer_id}: {reason}" for offer_id, reason in sorted(refused.items())) or NOTHING


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else NOTHING


def _said(value: bool) -> str:
    return "true" if value else "false"
