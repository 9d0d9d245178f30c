"""Which column of a file is what: from the header alone, or from a mapping that a person wrote (docs/profiles.md)."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liftgate.bundle.duration import timestamp_ms
from liftgate.bundle.mistake import BundleError, Mistake, did_you_mean, one_of
from liftgate.bundle.source import Source, dotted, parse
from liftgate.domain.consent import STATUSES
from liftgate.domain.consent_record import TEXTS, TIMES, ConsentRecord
from liftgate.domain.errors import BadInput
from liftgate.domain.input import InputSchema

ROW = "row:"
DEFAULT_ID = "person_id"
DETAILS = {name.removesuffix("_ms"): name for name in (*TIMES, "basis", *TEXTS)}
"""What files and mappings call a field of a consent record, and its name there."""
_EVIDENCE = ("basis", *(name for name in TEXTS if name != "policy_version"))


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """Where one feature comes from."""

    feature: int
    """Index into the profile features."""
    column: str
    """Empty: a constant."""
    constant: Any = None
    values: Dict[str, Any] | None = None
    """Text in the file to the value meant."""
    undeclared: bool = False
    """True: text that the bundle does not declare is stored as another value; False: the row is rejected."""
    at: str = ""
    """Column with the time of this feature alone."""


@dataclass(frozen=True, slots=True)
class ConsentColumn:
    """Where the status of one purpose comes from."""

    purpose: str
    column: str
    """Empty: a constant."""
    status: str = ""
    """The constant."""
    granted: frozenset[str] | None = None
    """Text that means granted; None: the column holds statuses themselves."""
    denied: frozenset[str] | None = None
    """Text that means denied; None: everything else that is not empty does."""
    columns: Dict[str, str] = field(default_factory=dict)
    """Field of the record, such as `given_at_ms`, to the column that holds it."""


@dataclass(frozen=True, slots=True)
class PeopleMapping:
    """Everything that is read from a file, and how."""

    id: str
    """A column, or `row:` and a pattern with `{row}`."""
    features: tuple[FeatureColumn, ...]
    consent: tuple[ConsentColumn, ...] = ()
    at: str = ""
    """Column with the time of a row's features; empty: none."""
    missing: frozenset[str] = frozenset()
    """Texts that mean missing, beside the empty one."""
    policy_version: str = ""
    given_at_ms: int | None = None
    expires_at_ms: int | None = None
    evidence: Dict[str, str] = field(default_factory=dict)
    """Texts of every consent record, such as `basis`, where no column has them."""

    @property
    def columns(self) -> frozenset[str]:
        """Every column that is read."""
        own = {self.at, "" if self.id.startswith(ROW) else self.id}
        features = {name for feature in self.features for name in (feature.column, feature.at)}
        consent = {name for one in self.consent for name in (one.column, *one.columns.values())}
        return frozenset((own | features | consent) - {""})

    def check(self, file: Path, columns: Sequence[str]) -> None:
        """Raise BadInput when the file lacks a column that is to be read."""
        for name in sorted(self.columns - set(columns)):
            raise BadInput(f"{file}: has no column `{name}`; {did_you_mean(name, columns, one_of(columns, 30))}")


def from_header(
    file: Path, columns: Sequence[str], schema: InputSchema, purposes: Sequence[str], id_column: str = "", skipped: Sequence[str] = ()
) -> PeopleMapping:
    """Return the mapping of a file whose columns are named like the bundle's features.

    `<feature>@` says when that feature was true, `consent.<purpose>` holds a status, `consent.<purpose>:given_at` and the like its details.
    Raises BadInput on a column that is none of these.
    """
    id_column = id_column or DEFAULT_ID
    if not id_column.startswith(ROW) and id_column not in columns:
        raise BadInput(f"{file}: has no column `{id_column}` for the person's id; name it with --id COLUMN ({one_of(columns, 30)})")
    names = [column.name.removeprefix("profile.") for column in schema.stored]
    details = {purpose: {f"consent.{purpose}:{name}": name for name in DETAILS} for purpose in purposes}
    statuses = {f"consent.{purpose}" for purpose in purposes}
    known = {id_column, *skipped, *names, *(f"{name}@" for name in names), *statuses, *(name for one in details.values() for name in one)}
    unknown = [name for name in columns if name not in known]
    if unknown:
        meant = "; ".join(f"`{name}`: {did_you_mean(name, known, 'no such feature')}" for name in unknown)
        meant += "" if meant.endswith("?") else "."
        raise BadInput(f"{file}: unknown columns: {meant} Pass over columns with --skip COLUMN, or rename them in a --mapping")
    taken = set(columns) - set(skipped)
    features = tuple(FeatureColumn(i, name, at=f"{name}@" if f"{name}@" in taken else "") for i, name in enumerate(names) if name in taken)
    for purpose, own in details.items():
        for name in sorted(own.keys() & taken):
            if f"consent.{purpose}" not in taken:
                raise BadInput(f"{file}: column `{name}` belongs to `consent.{purpose}`, which is not there; add its status")
    consent = tuple(
        ConsentColumn(purpose, f"consent.{purpose}", columns={DETAILS[name]: column for column, name in own.items() if column in taken})
        for purpose, own in details.items()
        if f"consent.{purpose}" in taken
    )
    if not features and not consent:
        raise BadInput(f"{file}: no column is named like a feature ({one_of(names, 30)}) or `consent.<purpose>`")
    return PeopleMapping(id_column, features, consent)


def read_mapping(path: Path, schema: InputSchema, purposes: Sequence[str]) -> PeopleMapping:
    """Read a mapping file. Raises BadInput with every mistake in it, each with its line."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    return _Reader(parse(str(path), raw), schema, purposes).read()


class _Reader:
    """Checks one mapping file and collects every mistake."""

    def __init__(self, source: Source, schema: InputSchema, purposes: Sequence[str]) -> None:
        self._source = source
        self._features = {column.name.removeprefix("profile."): i for i, column in enumerate(schema.stored)}
        self._schema = schema
        self._purposes = tuple(purposes)

    def read(self) -> PeopleMapping:
        source = self._source
        document = source.value if isinstance(source.value, dict) else {}
        if not source.mistakes and not document:
            self._say((), "holds no mapping", "begin with `id: COLUMN`")
        keys = {"id", "features", "consent", "at", "missing", "policy_version", "given_at", "expires_at", *_EVIDENCE}
        self._known((), document, keys)
        identity = document.get("id")
        if document and (not isinstance(identity, str) or not identity or (identity.startswith(ROW) and "{row}" not in identity)):
            self._say(
                ("id",), "wants the column of the person's id", "write `id: COLUMN`, or `id: row:NAME-{row}` for the row's number from 0"
            )
        mapping = PeopleMapping(
            id=str(identity),
            features=tuple(self._feature(name, given) for name, given in self._entries(document, "features") if self._is_feature(name)),
            consent=tuple(self._consent(name, given) for name, given in self._entries(document, "consent") if self._is_purpose(name)),
            at=self._text(("at",), document.get("at")),
            missing=self._texts(("missing",), document.get("missing")) or frozenset(),
            policy_version=self._text(("policy_version",), document.get("policy_version")),
            given_at_ms=self._moment("given_at", document.get("given_at")),
            expires_at_ms=self._moment("expires_at", document.get("expires_at")),
            evidence={name: text for name in _EVIDENCE if (text := self._text((name,), document.get(name)))},
        )
        common: dict[str, Any] = {"given_at_ms": mapping.given_at_ms, "expires_at_ms": mapping.expires_at_ms, **mapping.evidence}
        for name, what in ConsentRecord(purpose="", status="granted", **common).mistakes():
            self._say((name.removesuffix("_ms"),), "cannot stand in a consent record", what)
        if document and not mapping.features and not mapping.consent and not source.mistakes:
            self._say((), "maps neither features nor consent", "add `features:`")
        if source.mistakes:
            raise BundleError(source.mistakes)
        return mapping

    def _say(self, path: tuple[str | int, ...], problem: str, mend: str) -> None:
        self._source.mistakes.append(Mistake(self._source.file, self._source.locate(path)[1], dotted(path), problem, mend))

    def _known(self, path: tuple[str | int, ...], given: dict[str, Any], keys: set[str]) -> None:
        for key in given.keys() - keys:
            self._say((*path, key), "is not known here", did_you_mean(key, keys, f"remove it ({one_of(keys)})"))

    def _entries(self, document: dict[str, Any], section: str) -> list[tuple[str, Any]]:
        given = document.get(section)
        if given is not None and not isinstance(given, dict):
            self._say((section,), "wants a mapping", f"write each on a line of its own under `{section}:`")
        return list(given.items()) if isinstance(given, dict) else []

    def _is_feature(self, name: str) -> bool:
        if name not in self._features:
            self._say(("features", name), "is no feature of the bundle", did_you_mean(name, self._features, one_of(self._features, 30)))
        return name in self._features

    def _is_purpose(self, name: str) -> bool:
        if name not in self._purposes:
            self._say(("consent", name), "is no purpose of the bundle", did_you_mean(name, self._purposes, one_of(self._purposes)))
        return name in self._purposes

    def _feature(self, name: str, given: Any) -> FeatureColumn:
        index, path = self._features[name], ("features", name)
        if isinstance(given, str):
            return FeatureColumn(index, given)
        if not isinstance(given, dict) or ("column" in given) == ("constant" in given):
            self._say(
                path,
                "wants a column or a constant",
                f"write `{name}: COLUMN`, `{{column: COLUMN, values: {{...}}}}` or `{{constant: VALUE}}`",
            )
            return FeatureColumn(index, "")
        self._known(path, given, {"column", "constant", "values", "undeclared", "at"})
        constant = given.get("constant")
        if "constant" in given:
            try:
                if self._schema.inputs[index].encode(constant) < 0 and isinstance(constant, str):
                    self._say((*path, "constant"), "is no declared value", one_of(self._schema.inputs[index].values))
            except ValueError as error:
                self._say((*path, "constant"), "is of the wrong type", str(error))
        values = given.get("values")
        if values is not None and not isinstance(values, dict):
            self._say((*path, "values"), "wants a mapping from text to value", "write `values: {Surburban: Suburban}`")
            values = None
        if given.get("undeclared", "reject") not in ("reject", "other"):
            self._say(
                (*path, "undeclared"), "is neither `reject` nor `other`", "write `undeclared: other` to store such text as another value"
            )
        column, at = self._text((*path, "column"), given.get("column")), self._text((*path, "at"), given.get("at"))
        return FeatureColumn(index, column, constant, values, given.get("undeclared") == "other", at)

    def _consent(self, purpose: str, given: Any) -> ConsentColumn:
        path = ("consent", purpose)
        if isinstance(given, str) and given in STATUSES:
            return ConsentColumn(purpose, "", given)
        status = given.get("status") if isinstance(given, dict) else None
        if not isinstance(given, dict) or ("column" in given) == ("status" in given) or ("status" in given and status not in STATUSES):
            self._say(
                path, "wants a status or a column", f'write one of {", ".join(sorted(STATUSES))}, or `{{column: COLUMN, granted: ["1"]}}`'
            )
            return ConsentColumn(purpose, "", "denied")
        self._known(path, given, {"column", "status", "granted", "denied", *DETAILS})
        columns = {full: column for name, full in DETAILS.items() if (column := self._text((*path, name), given.get(name)))}
        if status is not None:
            return ConsentColumn(purpose, "", str(status), columns=columns)
        granted, denied = (self._texts((*path, key), given.get(key)) for key in ("granted", "denied"))
        if denied is not None and granted is None:
            self._say((*path, "denied"), "means nothing without `granted`", "add the text that means granted")
        if granted and denied and granted & denied:
            self._say(path, "has text that means both granted and denied", f"remove {one_of(granted & denied)} from one of the two")
        return ConsentColumn(purpose, self._text((*path, "column"), given["column"]), "", granted, denied, columns)

    def _text(self, path: tuple[str | int, ...], given: Any) -> str:
        if given is not None and not isinstance(given, str):
            self._say(path, "wants text", "put it in quotes")
        return given if isinstance(given, str) else ""

    def _texts(self, path: tuple[str | int, ...], given: Any) -> frozenset[str] | None:
        if given is None:
            return None
        if not isinstance(given, list) or not given or not all(isinstance(each, str) for each in given):
            self._say(path, "wants a list of texts", 'write `["1", "yes"]`, with quotes')
            return frozenset()
        return frozenset(given)

    def _moment(self, key: str, given: Any) -> int | None:
        if given is None:
            return None
        try:
            return timestamp_ms(str(given))
        except ValueError as error:
            self._say((key,), str(error), "write it like 2026-05-01T00:00:00Z")
            return None
