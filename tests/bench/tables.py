"""Tables of figures, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: the first column is text, the others are numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> Table:
        """Return it for a terminal."""
        table = Table(title=self.title, title_justify="left")
        for i, head in enumerate(self.heads):
            table.add_column(head, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return it as it is pasted into a page."""
        lines: list[Sequence[str]] = [self.heads, ["---", *["---:"] * (len(self.heads) - 1)], *self.rows]
        return "\n".join([f"{self.title}\n", *["| " + " | ".join(line) + " |" for line in lines]])


def rows_of(table: Table) -> Rows:
    """Return a terminal's table as rows, so that it can be written as Markdown."""
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    return Rows(str(table.title or ""), [str(column.header) for column in table.columns], list(zip(*cells, strict=True)))
