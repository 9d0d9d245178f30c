"""An earlier decision explained from a log's directory alone: its record, and what the log kept of its bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liftgate.adapters.bundle_archive import FOLDER, ArchiveUnreadable, Rulebook, read
from liftgate.adapters.explanation_of_record import explain_record
from liftgate.record.find import find_decision
from liftgate.v1.decision_pb2 import Explanation

_REMEMBERED = 4
"""Bundles whose rules are kept in memory."""


class LogExplanations:
    """Explains decisions of one log; remembers the rules of a few bundles. One thread at a time."""

    def __init__(self, log: Path, *, parquet: bool = True) -> None:
        """`parquet`: read Parquet too, which needs pyarrow."""
        self._log = log
        self._parquet = parquet
        self._rulebooks: dict[str, Rulebook] = {}

    def explain(self, decision_id: str, pause: Callable[[], object] = lambda: None) -> Explanation | None:
        """Return the explanation; None: the log does not have the decision. Raises as `record.find.find_decision` does."""
        found = find_decision(self._log, decision_id, parquet=self._parquet, pause=pause)
        if found is None:
            return None
        rulebook, caveats = self._rules(found.record.bundle_digest)
        return explain_record(found.record, rulebook, caveats=caveats)

    def _rules(self, digest: str) -> tuple[Rulebook | None, list[str]]:
        if digest in self._rulebooks:
            return self._rulebooks[digest], []
        try:
            rulebook = read(self._log, digest)
        except FileNotFoundError:
            return None, [f"{FOLDER}/{digest}.json is not in the log, so reasons are known and rules are not."]
        except (ArchiveUnreadable, OSError) as cause:
            why = str(cause) if isinstance(cause, ArchiveUnreadable) else f"{FOLDER}/{digest}.json cannot be read"
            return None, [f"{why}, so reasons are known and rules are not."]
        if len(self._rulebooks) >= _REMEMBERED:
            del self._rulebooks[next(iter(self._rulebooks))]
        self._rulebooks[digest] = rulebook
        return rulebook, []
