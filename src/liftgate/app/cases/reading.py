"""Test files to planned cases: every mistake at once, with file, line and mend, as `bundle check` gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from liftgate.app.cases.document import ALL, NOTHING, Case, CaseFile, Person, Situation
from liftgate.app.cases.moment import EXAMPLE, PHRASE_EXAMPLE, contact, moment_ms
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import read_source
from liftgate.bundle.mistake import Mistake, did_you_mean, one_of
from liftgate.bundle.source import Source, dotted
from liftgate.bundle.wording import explain
from liftgate.domain.input import InputType
from liftgate.domain.reason import Reason

FOLDER = "tests"
L = TypeVar("L", Person, Situation)
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """One person in one context at one placement, and what must come of it."""

    file: str
    """Relative to the bundle's folder."""
    line: int
    name: str
    """Unique within a run."""
    person: Person
    """With `like` filled in."""
    person_name: str
    context: Situation
    placement: str
    now_ms: int
    approved: tuple[str, ...]
    """Sensitive offers whose approval stands; `("all",)`: of all."""
    case: Case

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class Plan:
    """Everything that the test files of a bundle ask for."""

    cases: list[Planned] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def plan(directory: Path, bundle: Bundle) -> Plan:
    """Read `tests/*.yaml` of a bundle's folder. Mistakes are collected, never raised; cases with a mistake are left out."""
    whole = Plan()
    folder = directory / FOLDER
    if not folder.is_dir():
        return whole
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    for name in names:
        shown = f"{FOLDER}/{name}"
        if name.endswith((".yml", ".json")):
            whole.mistakes.append(Mistake(shown, 0, "", "would not be read", "rename it to end in .yaml"))
        elif name.endswith(".yaml"):
            whole.files.append(shown)
            _Reader(whole, read_source(directory, shown), bundle).read()
    return whole


class _Reader:
    """One file."""

    def __init__(self, whole: Plan, source: Source, bundle: Bundle) -> None:
        self._whole, self._source, self._bundle = whole, source, bundle
        whole.mistakes += source.mistakes

    def read(self) -> None:
        if self._source.broken:
            return
        try:
            document = CaseFile.model_validate(self._source.value if self._source.value is not None else {})
        except ValidationError as err:
            for path, problem, mend in explain(err, CaseFile, ()):
                self._refuse(path, problem, mend.replace("docs/bundle.md", "docs/bundle-tests.md"))
            return
        self._zone(("time_zone",), document.time_zone)
        self._approved(("approved",), document.approved)
        for name, person in document.persons.items():
            self._person(("persons", name), person, document)
        for name, situation in document.contexts.items():
            self._situation(("contexts", name), situation, document)
        for i, case in enumerate(document.cases):
            self._case(i, case, document)

    def _refuse(self, path: Sequence[str | int], problem: str, mend: str) -> None:
        line = self._source.locate(path)[1]
        self._whole.mistakes.append(Mistake(self._source.file, line, dotted(path), problem, mend))

    def _known(self, path: Path_, noun: str, name: str, known: Sequence[str] | Mapping[str, Any]) -> bool:
        if name in known:
            return True
        self._refuse(path, f"there is no {noun} `{name}`", did_you_mean(name, known, one_of(known, 20)))
        return False

    def _zone(self, path: Path_, name: str) -> None:
        try:
            if name:
                ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            self._refuse(path, f"there is no time zone `{name}`", "write an IANA name such as Europe/Berlin")

    def _moment(self, path: Path_, text: str | None) -> None:
        try:
            if text is not None:
                moment_ms(text, 0)
        except ValueError as err:
            self._refuse(path, str(err), f"write, for example, `{EXAMPLE}`")

    def _person(self, path: Path_, person: Person, document: CaseFile) -> None:
        features = [column.name.removeprefix("profile.") for column in self._bundle.schema.profile]
        if person.like is not None:
            self._like((*path, "like"), person.like, document.persons)
        for name, value in (person.profile or {}).items():
            if self._known((*path, "profile", name), "feature", name, features):
                self._value((*path, "profile", name), f"profile.{name}", value)
        for name, when in person.ages.items():
            if self._known((*path, "ages", name), "feature", name, features):
                self._moment((*path, "ages", name), when)
        self._moment((*path, "stored"), person.stored)
        for purpose, entry in (person.consent or {}).items():
            if self._known((*path, "consent", purpose), "purpose", purpose, self._bundle.purposes):
                self._moment((*path, "consent", purpose, "given"), entry.given)
                self._moment((*path, "consent", purpose, "expires"), entry.expires)
                self._moment((*path, "consent", purpose, "withdrawn"), entry.withdrawn)
        for key in ("history", "account_history"):
            for i, phrase in enumerate(getattr(person, key)):
                try:
                    self._known((*path, key, i), "offer", contact(phrase, 0).offer_id, self._bundle.offer_index)
                except ValueError as err:
                    self._refuse((*path, key, i), str(err), f"write, for example, `{PHRASE_EXAMPLE}`")
        for i, name in enumerate(person.lists):
            self._known((*path, "lists", i), "list", name, [each.name for each in self._bundle.suppressions.lists])
        if person.held_out is not None:
            self._known((*path, "held_out"), "layer", person.held_out, [layer.name for layer in self._bundle.layers])
            if person.id is not None:
                self._refuse((*path, "id"), "goes not with `held_out`: the id alone decides who is held out", "remove one of the two")
        self._arms(path, person)

    def _arms(self, path: Path_, person: Person) -> None:
        layers = {layer.name: layer for layer in self._bundle.layers}
        for name, arm in person.arms.items():
            if not self._known((*path, "arms", name), "layer", name, layers):
                continue
            layer = layers[name]
            self._known((*path, "arms", name), "arm", arm, [*(each.name for each in layer.arms), "outside"])
            if layer.unit != "person":
                problem = f"is drawn by {layer.unit}, so the case's `{layer.unit}:` decides"
                self._refuse((*path, "arms", name), problem, f"remove it, and write a `{layer.unit}:` that is in the arm")
        if person.arms and person.id is not None:
            self._refuse((*path, "id"), "goes not with `arms`: the id alone decides them", "remove one of the two")

    def _value(self, path: Path_, name: str, value: Any) -> None:
        column = self._bundle.schema.inputs[self._bundle.schema.index[name]]
        if column.type is InputType.TIMESTAMP:
            if value is not None and not isinstance(value, str):
                self._refuse(path, "wants a moment as text", f"write, for example, `{EXAMPLE}`")
            self._moment(path, value if isinstance(value, str) else None)
            return
        try:
            number = column.encode(value)
        except ValueError as err:
            self._refuse(path, str(err), "write a value of the type that `features:` or `context:` declares")
            return
        if column.type is InputType.STRING and number == -1 and name.startswith("profile."):
            self._refuse(
                path, f'"{value}" is not among the declared values', did_you_mean(str(value), column.values, one_of(column.values))
            )

    def _situation(self, path: Path_, situation: Situation, document: CaseFile) -> None:
        if situation.like is not None:
            self._like((*path, "like"), situation.like, document.contexts)
        self._zone((*path, "time_zone"), situation.time_zone)
        known = [column.name.removeprefix("context.") for column in self._bundle.schema.context]
        for name, value in situation.attributes.items():
            if self._known((*path, "attributes", name), "context attribute", name, known):
                self._value((*path, "attributes", name), f"context.{name}", value)

    def _like(self, path: Path_, name: str, known: Mapping[str, L]) -> None:
        if not self._known(path, "person" if known and isinstance(next(iter(known.values())), Person) else "context", name, known):
            return
        chain: list[str] = [name]
        while (further := known[chain[-1]].like) is not None and further in known:
            if further in chain:
                self._refuse(path, f"goes round in a circle: {' is like '.join((*chain, further))}", "write one of them in full")
                return
            chain.append(further)

    def _case(self, i: int, case: Case, document: CaseFile) -> None:
        path: Path_ = ("cases", i)
        before = len(self._whole.mistakes)
        people = list(self._people((*path, "person"), case.person, document))
        contexts = list(self._contexts((*path, "context"), case.context, document))
        for placement in case.placement:
            self._known((*path, "placement"), "placement", placement, self._bundle.placement_index)
        for key in ("candidates", "baseline", "propensity", "used_in_total", "verdicts"):
            for offer in getattr(case, key) or ():
                self._known((*path, key, offer), "offer", offer, self._bundle.offer_index)
        for offer in case.propensity:
            k = self._bundle.offer_index.get(offer)
            if k is not None and self._bundle.offer_model[k] < 0:
                self._refuse((*path, "propensity", offer), f"`{offer}` has no model: its probability is always 1", "remove it")
        self._controls(path, case)
        self._want((*path, "want"), case)
        now_ms = case.now if case.now is not None else document.now
        if now_ms is None:
            self._refuse((*path, "now"), "is missing", "add `now:` to the file or to the case")
        if now_ms is None or len(self._whole.mistakes) > before:
            return
        approved = tuple(document.approved if case.approved is None else case.approved)
        line = self._source.locate(path)[1]
        several = len(people) * len(contexts) * len(case.placement) > 1
        for person_name, person in people:
            for context_name, context in contexts:
                for placement in case.placement:
                    parts = [part for part in (person_name, context_name, placement) if part]
                    said = case.says or f"{', '.join(parts)}"
                    name = f"{said} [{', '.join(parts)}]" if several and case.says else said
                    if not name.isprintable():
                        name = name.encode("unicode_escape").decode()
                    zoned = context if context.time_zone else context.model_copy(update={"time_zone": document.time_zone})
                    planned = Planned(
                        self._source.file, line, name, person, person_name or "somebody", zoned, placement, now_ms, approved, case
                    )
                    self._whole.cases.append(planned)

    def _approved(self, path: Path_, names: Sequence[str]) -> None:
        for name in names if list(names) != [ALL] else ():
            self._known(path, "offer", name, self._bundle.offer_index)

    def _controls(self, path: Path_, case: Case) -> None:
        self._approved((*path, "approved"), case.approved or ())
        names = {
            "offer": list(self._bundle.offer_index),
            "group": [offer.group for offer in self._bundle.offers if offer.group],
            "model": [model.name for model in self._bundle.models],
        }
        for i, subject in enumerate(case.stopped):
            kind, _, name = subject.partition("/")
            if subject == ALL:
                continue
            if kind not in names:
                mend = "write `offer/NAME`, `group/NAME`, `model/NAME` or `all`"
                self._refuse((*path, "stopped", i), f"{subject!r} is nothing that can be stopped", mend)
            else:
                self._known((*path, "stopped", i), kind, name, names[kind])

    def _want(self, path: Path_, case: Case) -> None:
        want = case.want
        for key in ("allowed", "chosen", "answer", "would_offer", "withheld", "reasons", "shadow", "probability", "refused"):
            for offer in getattr(want, key) or ():
                if key in ("chosen", "answer", "would_offer", "withheld") and offer == NOTHING:
                    continue
                self._known(
                    (*path, key, offer) if key in ("reasons", "shadow", "probability", "refused") else (*path, key),
                    "offer",
                    offer,
                    self._bundle.offer_index,
                )
        reasons = [reason.name for reason in Reason if reason]
        for offer, reason in want.reasons.items():
            self._known((*path, "reasons", offer), "reason", reason, reasons)
        for offer, reason in (want.refused or {}).items():
            self._known((*path, "refused", offer), "reason", reason, reasons)
        for offer, reason in want.shadow.items():
            self._known((*path, "shadow", offer), "reason", reason, [*reasons, NOTHING])
        if want.reason is not None:
            self._known((*path, "reason"), "reason", want.reason, reasons)

    def _people(self, path: Path_, given: list[str] | Person, document: CaseFile) -> Iterator[tuple[str, Person]]:
        if isinstance(given, Person):
            self._person(path, given, document)
            yield "", _merged(given, document.persons)
            return
        for name in given:
            if self._known(path, "person", name, document.persons):
                yield name, _merged(document.persons[name], document.persons)

    def _contexts(self, path: Path_, given: list[str] | Situation, document: CaseFile) -> Iterator[tuple[str, Situation]]:
        if isinstance(given, Situation):
            self._situation(path, given, document)
            yield "", _merged(given, document.contexts)
            return
        for name in given:
            if self._known(path, "context", name, document.contexts):
                yield name, _merged(document.contexts[name], document.contexts)


def _merged(one: L, known: Mapping[str, L]) -> L:
    """Return an entry with what it is like filled in: mappings are joined, everything else is replaced."""
    chain = [one]
    while (base := known.get(chain[-1].like or "")) is not None and base not in chain:
        chain.append(base)
    merged = chain.pop()
    while chain:
        nearer = chain.pop()
        written: dict[str, Any] = {key: getattr(nearer, key) for key in nearer.model_fields_set if key != "like"}
        for key, value in written.items():
            old = getattr(merged, key)
            if isinstance(value, dict) and isinstance(old, dict):
                written[key] = old | value
        merged = merged.model_copy(update=written)
    return merged
