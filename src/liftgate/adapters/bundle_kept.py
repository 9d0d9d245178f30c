"""A bundle as a log kept it, made ready to decide again; and what of it is not what its digest was taken of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from liftgate.adapters.bundle_archive import archive_path, document
from liftgate.bundle.difference import Written
from liftgate.bundle.load import check_texts
from liftgate.bundle.source import Texts


@dataclass(frozen=True, slots=True)
class Kept:
    """What a log's archive gives for one digest."""

    written: Written | None
    """The bundle; None: it cannot be had from here."""
    altered: tuple[str, ...] = ()
    """Places of the archive that are not what the digest was taken of, for example `offers.welcome.eligible_if`."""
    problem: str = ""
    """Why there is no bundle, in plain words; empty: there is one."""


def read_kept(log: Path, digest: str, models: Path) -> Kept:
    """Return the bundle that a log kept under a digest; no model file is read. Never raises for what the archive holds.

    The rules are there as the bundle's own files, as the canonical form and as explanations quote them; the digest says which is right.
    """
    path = archive_path(log, digest)
    name = f"{path.parent.name}/{path.name}"
    try:
        found = orjson.loads(path.read_bytes())
    except OSError:
        return Kept(None, (), f"{name} is not in the log's directory: archive `bundles/` with the log, or give --bundle")
    except ValueError as err:
        return Kept(None, (name,), f"{name} is no JSON any more: {err}")
    try:
        texts = Texts(dict(found["files"]), dict(found["manifests"]))
        canonical = str(found["canonical"]).encode()
    except (KeyError, TypeError, ValueError):
        if isinstance(found, dict) and "files" not in found and "canonical" in found:
            return Kept(None, (), f"{name} was written by a version of Liftgate that kept no files of it: give --bundle")
        return Kept(None, (name,), f"{name} lacks what every archive of a bundle has")
    checked = check_texts(texts, models)
    if checked.bundle is None:
        first = checked.mistakes[0]
        return Kept(None, (f"{first.file}:{first.line} {first.field}".strip(),), f"{name}: its files make no bundle any more: {first}")
    if checked.bundle.digest == digest:
        return Kept(Written(checked.draft, checked.bundle), tuple(_differences(document(checked.bundle), found)))
    if hashlib.sha256(canonical).hexdigest() != digest:
        return Kept(None, (name,), f"{name}: neither its files nor its canonical form is what the digest was taken of")
    altered = tuple(_differences(orjson.loads(canonical), orjson.loads(checked.bundle.canonical_form)))
    return Kept(None, altered, f"{name}: its files are not what the digest was taken of, in {', '.join(altered[:5])}")


def _differences(wanted: Any, found: Any, at: str = "") -> Iterator[str]:
    """Yield the dotted path of every place where two JSON values differ, at most as deep as both are of one kind."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in sorted({*wanted, *found}):
            path = f"{at}.{key}" if at else str(key)
            if key not in wanted or key not in found:
                yield path
            else:
                yield from _differences(wanted[key], found[key], path)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for i, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(one, other, f"{at}[{i}]")
    elif at == "canonical" and isinstance(found, str):
        yield from _within(wanted, found)
    elif wanted != found:
        yield at


def _within(wanted: str, found: str) -> Iterator[str]:
    """Yield where two canonical forms differ, as far as the second can still be read."""
    if wanted == found:
        return
    try:
        paths = list(_differences(orjson.loads(wanted), orjson.loads(found)))
    except ValueError:
        paths = []
    yield from (f"canonical: {path}" for path in paths) if paths else iter(("canonical",))
