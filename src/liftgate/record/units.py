"""Where a log keeps which of its pseudonyms are one account, session or visitor, if anybody made that table."""

from __future__ import annotations

from pathlib import Path

TABLE = Path("units") / "table.parquet"
"""Inside the log directory: columns kind (text), pseudonym and unit (16 bytes each). An erasure removes it."""
