"""Every rule of a bundle as it is written, with what it says of one decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from liftgate.app.cases.unknowns import can_be_unknown
from liftgate.bundle.compiled import Bundle, Condition
from liftgate.bundle.conditions import canonical
from liftgate.bundle.difference import flow
from liftgate.bundle.schema import Group, OfferRule
from liftgate.bundle.schema_consent import ChannelPermission
from liftgate.bundle.sections import Draft
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.domain.suppression import ContactList
from liftgate.guardrails.quiet_hours import QuietHours
from liftgate.pipeline.cap_watches import UNLIMITED

CONDITIONS = {
    "eligible_if": (Reason.NOT_ELIGIBLE, Reason.ELIGIBILITY_UNKNOWN),
    "applicable_if": (Reason.NOT_APPLICABLE, Reason.APPLICABILITY_UNKNOWN),
    "suitable_if": (Reason.NOT_SUITABLE, Reason.SUITABILITY_UNKNOWN),
    "suppress_if": (Reason.SUPPRESSED, Reason.SUPPRESSION_UNKNOWN),
}
"""Section to its reasons against: where it decides against the offer, and where it cannot be told."""
GUARDRAIL_OF = {
    "purposes": "consent",
    "channel_permissions": "consent",
    "channels": "eligibility",
    "from": "eligibility",
    "until": "eligibility",
    "eligible_if": "eligibility",
    "applicable_if": "eligibility",
    "suitable_if": "eligibility",
    "suppress_if": "suppression",
    "sensitive": "review",
    "review": "review",
    "review_each_decision": "review",
}
"""Section to the guardrail that judges it; others are called as their section."""
_CONSENT = frozenset(reason for reason in Reason if reason.name.startswith("CONSENT_"))
_REVIEW = frozenset({Reason.NOT_APPROVED, Reason.REVIEW_REJECTED, Reason.CONTROLS_UNKNOWN})


_EACH = frozenset({Reason.AWAITING_REVIEW, Reason.REVIEW_REJECTED})


class Seen(StrEnum):
    """What a case can see a rule do."""

    PASS = "pass"  # noqa: S105  # an outcome of a rule, no password
    DENY = "deny"
    UNKNOWN = "unknown"


Judge = Callable[[Batch, int], Seen | None]
"""What a rule says of the batch's one row and an offer; None: it does not concern them."""


@dataclass(slots=True)
class Rule:
    """One rule as written, and what the cases saw of it."""

    section: str
    owner: str
    """`offers.free-shipping` or `groups.credit`."""
    text: str
    where: str
    """`file:line`."""
    offers: tuple[int, ...]
    judge: Judge
    against: frozenset[Reason]
    possible: tuple[Seen, ...] = (Seen.PASS, Seen.DENY)
    shadow: bool = False
    """It denies nothing: what it would deny is noted."""
    seen: dict[Seen, str] = field(default_factory=dict)
    """To the first case that saw it."""

    @property
    def missing(self) -> tuple[Seen, ...]:
        """What no case has seen."""
        return tuple(one for one in self.possible if one not in self.seen)


def in_shadow(draft: Draft, bundle: Bundle, owner: str, section: str) -> bool:
    """Say whether a section of `offers.NAME`, `groups.NAME` or the bundle runs in shadow."""
    kind, _, name = owner.partition(".")
    entry = draft.entries.get(kind, {}).get(name)
    return GUARDRAIL_OF.get(section, section) in bundle.shadow.guardrails or section in getattr(entry, "shadow", ())


def rules_of(draft: Draft, bundle: Bundle) -> Iterator[Rule]:
    """Yield every rule of groups, of offers, and of sections of their own."""
    offers = draft.section("offers", OfferRule)
    index = {name: k for k, name in enumerate(offers)}
    for name, group in draft.section("groups", Group).items():
        members = tuple(index[offer_id] for offer_id, offer in offers.items() if offer.group == name)
        if members:
            yield from _of(draft, bundle, ("groups", name), group, members)
    for name, offer in offers.items():
        yield from _of(draft, bundle, ("offers", name), offer, (index[name],))
    yield from _permissions(draft, bundle)
    yield from _counted(draft, bundle)
    yield from _held_back(draft, bundle)


def _of(draft: Draft, bundle: Bundle, owner: tuple[str, str], entry: Group | OfferRule, offers: tuple[int, ...]) -> Iterator[Rule]:
    def rule(path: Sequence[str | int], text: str, judge: Judge, against: frozenset[Reason], *more: Seen) -> Rule:
        where = draft.where((*owner, *path))
        return Rule(str(path[0]), ".".join(owner), text, where, offers, judge, against, (Seen.PASS, Seen.DENY, *more))

    for i, purpose in enumerate(entry.purposes):
        p = bundle.purposes.index(purpose)
        yield rule(("purposes", i), purpose, _if(lambda batch, _, p=p: batch.consent[0, p] == Reason.ALLOWED), _CONSENT)
    if entry.channels is not None:
        channels = frozenset(entry.channels)
        judge = _if(lambda batch, _: batch.requests[0].context.channel in channels)
        yield rule(("channels",), ", ".join(entry.channels), judge, frozenset({Reason.CHANNEL_NOT_ALLOWED}))
    if isinstance(entry, OfferRule):
        yield from _dates(entry, rule)
    sensitive = tuple(k for k in offers if k in bundle.reviews)
    if entry.sensitive and sensitive:
        review = rule(("sensitive",), flow(entry.sensitive), _if(_approved), _REVIEW)
        yield replace(review, offers=sensitive)
    if isinstance(entry, OfferRule) and entry.review_each_decision:
        yield rule(("review_each_decision",), "true", _if(lambda batch, k: Reason(int(batch.reason[0, k])) not in _EACH), _EACH)
    for section, reasons in CONDITIONS.items():
        text = getattr(entry, section)
        condition = None if text is None else _compiled(bundle, section, text, offers)
        if condition is not None:
            passes = section != "suppress_if"
            unknown = (Seen.UNKNOWN,) if can_be_unknown(condition, text, bundle.schema) else ()
            yield rule((section,), text, _condition(condition, passes), frozenset(reasons), *unknown)


def _permissions(draft: Draft, bundle: Bundle) -> Iterator[Rule]:
    for channel, permission in draft.section("channel_permissions", ChannelPermission).items():
        p = bundle.purposes.index(permission.root)

        def judge(batch: Batch, _: int, channel: str = channel, p: int = p) -> Seen | None:
            if batch.requests[0].context.channel != channel:
                return None
            return Seen.PASS if batch.consent[0, p] == Reason.ALLOWED else Seen.DENY

        where = draft.where(("channel_permissions", channel))
        everything = tuple(range(len(bundle.offers)))
        yield Rule(channel, "channel_permissions", permission.root, where, everything, judge, _CONSENT)


def _counted(draft: Draft, bundle: Bundle) -> Iterator[Rule]:
    """Yield caps, pauses and contact policies: each is one or more counters of the bundle."""
    owners = {
        draft.where((kind, name, section, i)): f"{kind}.{name}"
        for kind in ("groups", "offers")
        for name, entry in draft.entries[kind].items()
        for section in ("caps", "pauses")
        for i in range(len(getattr(entry, section)))
    }
    together: dict[tuple[str, str, str], list[int]] = {}
    for c, cap in enumerate(bundle.caps):
        section = _SECTIONS.get(cap.reason, "caps")
        # Pauses and exclusions are a counter for each thing that they can hold back.
        text = cap.name.split(": ", 1)[section == "pauses"] if section in ("pauses", "exclusions") else cap.name
        together.setdefault((section, cap.source, text), []).append(c)
    for (section, where, text), columns in together.items():
        offers = tuple(sorted({k for c in columns for k in bundle.caps[c].offers.tolist()}))
        against = {bundle.caps[columns[0]].reason, Reason.FREQUENCY_CAP_UNAVAILABLE, Reason.TOTAL_CAP_PACED, Reason.ACCOUNT_UNKNOWN}
        yield Rule(section, owners.get(where, section), text, where, offers, _full(bundle, columns), frozenset(against))


_SECTIONS = {Reason.PAUSED: "pauses", Reason.CONTACT_POLICY: "contact_policy", Reason.EXCLUDED: "exclusions"}


def _held_back(draft: Draft, bundle: Bundle) -> Iterator[Rule]:
    """Yield do-not-contact lists and quiet hours."""
    for i, each in enumerate(bundle.suppressions.lists):

        def listed(batch: Batch, _: int, i: int = i, each: ContactList = each) -> Seen | None:
            if batch.listed is None or not each.on(batch.requests[0].context.channel):
                return None
            return Seen.DENY if batch.listed[0, i] else Seen.PASS

        against = frozenset({Reason.DO_NOT_CONTACT})
        yield Rule(
            "lists", f"lists.{each.name}", each.name, draft.where(("lists", each.name)), tuple(each.offers.tolist()), listed, against
        )
    hours = bundle.suppressions.quiet_hours
    if hours is not None:
        guardrail = QuietHours(bundle)

        def quiet(batch: Batch, offer: int) -> Seen | None:
            if not hours.on(batch.requests[0].context.channel):
                return None
            verdict = guardrail.evaluate(batch)
            return Seen.PASS if verdict is None or verdict.mask[0, offer] else Seen.DENY

        where = draft.where(("contact_policy", "quiet_hours"))
        text = f"{hours.starts // 60:02}:{hours.starts % 60:02} to {hours.ends // 60:02}:{hours.ends % 60:02}"
        yield Rule("quiet_hours", "contact_policy", text, where, tuple(range(len(bundle.offers))), quiet, frozenset({Reason.QUIET_HOURS}))


def _full(bundle: Bundle, columns: list[int]) -> Judge:
    holds = {c: frozenset(bundle.caps[c].offers.tolist()) for c in columns}

    def judge(batch: Batch, offer: int) -> Seen | None:
        rooms = [int(batch.cap_room[0, c]) for c in columns if offer in holds[c]]
        concerned = [room for room in rooms if room < UNLIMITED]
        if not concerned:
            return None
        return Seen.DENY if min(concerned) <= 0 else Seen.PASS

    return judge


def _approved(batch: Batch, offer: int) -> bool:
    until = batch.controls.approved_until_ms
    return until is not None and bool(batch.now_ms[0] < until[offer])


def _dates(entry: OfferRule, rule: Callable[..., Rule]) -> Iterator[Rule]:
    start, end = entry.starts_at, entry.until
    if start is not None:
        yield rule(("from",), "from", _if(lambda batch, _: batch.now_ms[0] >= start), frozenset({Reason.NOT_STARTED}))
    if end is not None:
        yield rule(("until",), "until", _if(lambda batch, _: batch.now_ms[0] < end), frozenset({Reason.ENDED}))


def _if(passes: Callable[..., object]) -> Judge:
    return lambda batch, offer: Seen.PASS if passes(batch, offer) else Seen.DENY


def _condition(condition: Condition, passes: bool) -> Judge:
    def judge(batch: Batch, _: int) -> Seen:
        true, unknown = condition.evaluate(batch.inputs, batch.now_ms.astype(np.float64))
        if unknown[0]:
            return Seen.UNKNOWN
        return Seen.PASS if bool(true[0]) is passes else Seen.DENY

    return judge


def _compiled(bundle: Bundle, section: str, text: str, offers: tuple[int, ...]) -> Condition | None:
    """Return the compiled condition that a text of these offers became."""
    for compiled in getattr(bundle, section):
        if offers[0] in compiled.offers and canonical(compiled.condition.text) == canonical(text):
            return compiled.condition  # type: ignore[no-any-return]
    return None
