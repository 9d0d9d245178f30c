"""What a replay decides with: the bundles of a log and their models, and which of them are not what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from liftgate.adapters.bundle_kept import Kept, read_kept
from liftgate.adapters.onnx_models import ModelsRefused, OnnxModels
from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.bundle.difference import Change, Written, difference
from liftgate.domain.errors import ModelFailed
from liftgate.domain.input import Floats
from liftgate.pipeline.ports import Models

Note = Callable[[str, str, str], None]
"""Told of what changed: kind, name, words."""


class FoundModels:
    """A `pipeline.ports.Models` of those models of a bundle that are there and are the right ones; the others fail."""

    def __init__(self, loaded: dict[str, OnnxModels]) -> None:
        """`loaded`: by name and SHA-256."""
        self._loaded = loaded

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """See `Models`."""
        found = self._loaded.get(_key(model))
        if found is None:
            raise ModelFailed(f"model {model.name} version {model.version} is not what the bundle pins")
        return found.score(model, matrix)


class Having:
    """Finds the bundle of a digest: the one that was given, else the one kept beside the log."""

    def __init__(self, log: Path, models: Path, given: Written | None, note: Note) -> None:
        """`models`: folder of `<name>/<version>/` for bundles kept beside the log."""
        self._log, self._models, self._given, self._note = log, models, given, note
        self._kept: dict[str, Kept] = {}
        self.missing: list[str] = []
        """Models that are not there, in words."""

    def kept(self, digest: str) -> Kept:
        """Return what the log kept of a bundle; what was altered of it is noted."""
        if digest not in self._kept:
            found = self._kept[digest] = read_kept(self._log, digest, self._models)
            for place in found.altered:
                kept = "and the rest of what was kept says otherwise" if found.written else found.problem
                self._note("rule", place, f"bundles/{digest}.json is not what was kept there: {kept}")
        return self._kept[digest]

    def written(self, digest: str) -> Written | None:
        """Return the bundle of a digest and what its files say; None: it is not to be had."""
        given = self._given
        return given if given is not None and given.bundle.digest == digest else self.kept(digest).written

    def __call__(self, digest: str) -> tuple[Bundle, Models] | str:
        """Return the bundle of a digest and its models, or in words why it is not to be had."""
        written = self.written(digest)
        if written is None:
            return f"bundle {digest[:12]}: {self._kept[digest].problem}"
        return written.bundle, self.models(written.bundle)

    def models(self, bundle: Bundle) -> FoundModels:
        """Load a bundle's models, each by itself; one that is not what the bundle pins is named."""
        loaded: dict[str, OnnxModels] = {}
        for spec in bundle.models:
            try:
                loaded[_key(spec)] = OnnxModels.load(replace(bundle, models=(spec,)))
            except ModelsRefused as err:
                name = f"model {spec.name} version {spec.version}"
                file = spec.directory / "model.onnx"
                sha256 = _sha256(file)
                if not sha256:
                    self.missing.append(f"{name}: {file} is not there; give --models, the folder of <name>/<version>/model.onnx")
                elif sha256 != spec.sha256:
                    self._note("model", name, f"{file} has sha256 {sha256}; the decisions were made with {spec.sha256}")
                else:
                    self._note("model", name, f"it is the file of then, and this machine does not take it: {err}")
        return FoundModels(loaded)

    def differences(self, digest: str, other: Written) -> tuple[Change, ...] | None:
        """Return what another bundle says otherwise than the one of a digest, and note it; None: that one is not to be had."""
        written = self.written(digest)
        if written is None:
            return None
        changes = difference(written, other)
        for change in changes:
            name = ".".join(filter(None, (change.section, change.name, change.key)))
            then = f"{change.before or 'nothing'}{f' ({change.before_at})' if change.before_at else ''}"
            now = f"{change.after or 'nothing'}{f' ({change.after_at})' if change.after_at else ''}"
            self._note("rule", name, f"{change.kind}: {then} then, {now} in the bundle that was given")
        return changes


def _key(spec: ModelSpec) -> str:
    return f"{spec.name} {spec.sha256}"


def _sha256(file: Path) -> str:
    """Return a file's SHA-256, empty: it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
