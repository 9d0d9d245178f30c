"""What a log keeps of each bundle that its records were decided by: `<log>/bundles/<digest>.json`, once per digest, durable.

Records name offers, reasons and inputs; the archive has the rules as they were written, with their places. So an explanation needs
neither the bundle's folder nor its version of this program. docs/record.md has the schema.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from liftgate.bundle.clauses import Clause, Clauses
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.conditions import ConditionError
from liftgate.bundle.conditions import canonical as canonical_text
from liftgate.domain.errors import BadInput

FOLDER = "bundles"
FORMAT = "liftgate.bundle"
VERSION = 1
"""Raised when a reader of an older version would misread the file; new keys alone do not raise it."""
_MAX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class OfferLine:
    """Where an offer is defined, and what its conditions can say of it."""

    group: str
    value: float
    where: str
    """`file:line`."""


@dataclass(frozen=True)
class Rulebook:
    """What explanations need of a bundle. Immutable."""

    digest: str
    offers: Mapping[str, OfferLine]
    clauses: Clauses
    undeclared: frozenset[str]
    """Names of context strings without declared values."""

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Every group's name."""
        return tuple(self.clauses.groups)


class ArchiveUnreadable(Exception):
    """The archive of a bundle is damaged or of a newer version; the message says which in plain words."""


def archive_path(log: Path, digest: str) -> Path:
    """Return where a log keeps a bundle."""
    return log / FOLDER / f"{digest}.json"


def rulebook_of(bundle: Bundle) -> Rulebook:
    """Return the rulebook of a bundle in force."""
    offers = {offer.offer_id: OfferLine(offer.group, offer.value, offer.source) for offer in bundle.offers}
    clauses = bundle.clauses
    if not clauses.offers:  # made by hand: only places are known
        found: dict[str, dict[str, tuple[Clause, ...]]] = {}
        for (section, index), places in bundle.rule_source.items():
            own = found.setdefault(bundle.offers[index].offer_id, {})
            own[section] = tuple(Clause("", place) for place in places.split(", "))
        for index, caps in enumerate(bundle.offer_caps):
            if caps:
                own = found.setdefault(bundle.offers[index].offer_id, {})
                own["caps"] = tuple(Clause(bundle.caps[cap].name, bundle.caps[cap].source) for cap in caps)
        clauses = Clauses({}, found)
    canonical = orjson.loads(bundle.canonical_form) if bundle.canonical_form else {}
    return Rulebook(bundle.digest, offers, clauses, _undeclared(canonical, [column.name for column in bundle.schema.context]))


def keep(bundle: Bundle, log: Path) -> Path:
    """Put a bundle into a log's archive, durably; one that is there and whole stays as it is. Raises BadInput.

    Several processes may keep the same bundle at once.
    """
    path = archive_path(log, bundle.digest)
    with suppress(ArchiveUnreadable, OSError):
        read(log, bundle.digest)
        if not bundle.texts.files or b'\n  "files": {' in path.read_bytes():
            return path
        # Earlier versions kept no files: a replay needs them.
    part = path.with_name(f"{path.name}.{os.urandom(6).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        with open(descriptor, "wb") as file:
            file.write(orjson.dumps(document(bundle), option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, path)
        _sync(path.parent)
        _sync(log)
    except OSError as cause:
        with suppress(OSError):
            part.unlink()
        why = os.strerror(cause.errno) if cause.errno else "error"
        raise BadInput(
            f"{path}: the bundle's rules cannot be kept beside the log ({why}), so its decisions could not be explained later; "
            "make room there, or give another --log (LIFTGATE_LOG)"
        ) from None
    return path


def read(log: Path, digest: str) -> Rulebook:
    """Return the rulebook of a bundle from a log's archive. Raises FileNotFoundError, OSError and ArchiveUnreadable."""
    path = archive_path(log, digest)
    if path.stat().st_size > _MAX_BYTES:
        raise ArchiveUnreadable(f"{path.name} is larger than 256 MiB")
    try:
        found = orjson.loads(path.read_bytes())
        if found["format"] != FORMAT or found["version"] != VERSION:
            raise ArchiveUnreadable(f"{path.name} is of version {found['version']}, this program reads version {VERSION}")
        if hashlib.sha256(found["canonical"].encode()).hexdigest() != digest:
            raise ArchiveUnreadable(f"{path.name} does not hold what its name says")
        canonical = orjson.loads(found["canonical"])
        _compare(path, found, canonical)
        groups = {name: _sections(entry["clauses"], name) for name, entry in found["groups"].items()}
        offers = {name: _sections(entry["clauses"], "") for name, entry in found["offers"].items()}
        lines = {name: OfferLine(entry["group"], entry["value"], entry["where"]) for name, entry in found["offers"].items()}
        clauses = Clauses(groups, offers, _sections(found["policies"], ""))
        return Rulebook(digest, lines, clauses, _undeclared(canonical, found["context"]))
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise ArchiveUnreadable(f"{path.name} is damaged") from cause


def document(bundle: Bundle) -> dict[str, Any]:
    """Return what the archive holds of a bundle."""
    clauses = bundle.clauses
    return {
        "format": FORMAT,
        "version": VERSION,
        "bundle": bundle.name,
        "digest": bundle.digest,
        # As text, so that its bytes and with them its SHA-256 stay what they are.
        "canonical": bundle.canonical_form.decode(),
        "context": [column.name for column in bundle.schema.context],
        "policies": _plain(clauses.policies),
        "groups": {name: {"clauses": _plain(clauses.groups[name])} for name in clauses.groups},
        "offers": {
            offer.offer_id: {
                "group": offer.group,
                "value": offer.value,
                "where": offer.source,
                "clauses": _plain(clauses.offers.get(offer.offer_id, {})),
            }
            for offer in bundle.offers
        },
        "files": dict(bundle.texts.files),
        "manifests": dict(bundle.texts.manifests),
    }


def _plain(sections: Mapping[str, tuple[Clause, ...]]) -> dict[str, list[dict[str, Any]]]:
    return {
        section: [{"text": one.text, "where": one.where} | ({"inputs": list(one.inputs)} if one.inputs else {}) for one in found]
        for section, found in sections.items()
    }


def _sections(sections: Mapping[str, list[Mapping[str, Any]]], group: str) -> dict[str, tuple[Clause, ...]]:
    return {
        section: tuple(Clause(one["text"], one["where"], group, tuple(one.get("inputs", ()))) for one in found)
        for section, found in sections.items()
    }


def _compare(path: Path, found: Mapping[str, Any], canonical: Mapping[str, Any]) -> None:
    """Hold the conditions as written to those that the digest was taken of. Raises ArchiveUnreadable where one says something else."""
    for kind in ("groups", "offers"):
        for name, entry in found[kind].items():
            for section, clauses in entry["clauses"].items():
                if not section.endswith("_if"):
                    continue
                try:
                    same = canonical_text(clauses[0]["text"]) == canonical[kind][name][section]
                except ConditionError:
                    # Written in words that this version has no more: then its text is quoted and not judged.
                    continue
                if not same:
                    raise ArchiveUnreadable(f"{path.name}: {kind}.{name}.{section} is not what its digest was taken of")


def _undeclared(canonical: Mapping[str, Any], context: list[str]) -> frozenset[str]:
    declared = {
        f"context.{name}" for name, entry in canonical.get("context", {}).items() if entry.get("values") or entry["type"] != "string"
    }
    return frozenset(context) - declared


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
