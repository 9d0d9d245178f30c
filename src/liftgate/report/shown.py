"""What stands on the page: HTML that cannot be broken by a text in it, and numbers that say where in the facts they come from."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


class Html(str):
    """Markup that is whole: `tag` does not escape it again."""

    __slots__ = ()


Content = str | None | Sequence["Content"]
_VOID = frozenset({"meta"})  # elements of SVG are closed: a parser of HTML would put what follows into them


def tag(element: str, *children: Content, **attributes: str | float | None) -> Html:
    """Return an element. Texts are escaped, Html is not; `class_`, `data_at` become `class`, `data-at`; None leaves an attribute out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    return Html(f"<{element}{given}>" if element in _VOID and not children else f"<{element}{given}>{join(*children)}</{element}>")


def join(*children: Content) -> Html:
    """Return contents one after the other."""
    return Html("".join(_text(one) for one in children))


def _text(child: Content) -> str:
    if child is None:
        return ""
    if isinstance(child, str):
        return child if isinstance(child, Html) else html.escape(child)
    return "".join(_text(one) for one in child)


_STYLES: dict[str, Callable[[Any], str]] = {
    "count": lambda v: f"{v:,.0f}",
    "share": lambda v: f"{100 * v:.2f}\u00a0%",
    "round_share": lambda v: f"{100 * v:.1f}\u00a0%",
    "points": lambda v: f"{100 * v:+.2f}\u00a0points",
    "bare_points": lambda v: f"{100 * v:+.2f}",
    "points tick": lambda v: f"{100 * v:+.3g}" if abs(v) > 1e-12 else "0",
    "signed tick": lambda v: f"{v:+.3g}" if abs(v) > 1e-12 else "0",
    "percent": lambda v: f"{100 * v:+.1f}\u00a0%",
    "size": lambda v: f"{100 * abs(v):.1f}\u00a0%",
    "number": lambda v: f"{v:,.4g}" if abs(v) < 1e6 else f"{v:,.0f}",
    "signed": lambda v: f"{v:+,.4g}",
    "p": lambda v: "below 0.001" if v < 0.001 else f"{v:.3f}",
    "when": lambda v: datetime.fromtimestamp(v / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC"),
    "text": str,
    "digest": lambda v: str(v)[:12],
}


def written(value: Any, style: str) -> str:
    """Return a value as the page writes it; a dash where there is none."""
    return "\u2013" if value is None else _STYLES[style](value).replace("-", "\u2212" if style not in ("text", "when", "digest") else "-")


@dataclass(frozen=True, slots=True)
class Fact:
    """A place in the facts, by its JSON pointer, and what stands there."""

    value: Any
    at: str = ""

    def __getitem__(self, key: str | int) -> Fact:
        words = str(key).replace("~", "~0").replace("/", "~1")
        return Fact(self.value[key], f"{self.at}/{words}")

    def get(self, key: str) -> Fact | None:
        """Return what is under a key, None where nothing is."""
        return self[key] if isinstance(self.value, dict) and self.value.get(key) is not None else None

    def each(self) -> Iterator[Fact]:
        """Yield the facts of a list, or of a mapping's values."""
        keys: Any = self.value if isinstance(self.value, dict) else range(len(self.value))
        for key in keys:
            yield self[key]

    @property
    def name(self) -> str:
        """The last part of where it stands."""
        return self.at.rpartition("/")[2].replace("~1", "/").replace("~0", "~")

    def show(self, style: str = "text") -> Html:
        """Return it for the page: a number with its value and place, or a text with its place."""
        shown = written(self.value, style)
        if style in ("text", "digest"):
            return tag("span", shown, data_at=self.at, data_as=style)
        return tag("data", shown, value=json.dumps(self.value), data_at=self.at, data_as=style)


def at(facts: Any, pointer: str) -> Any:
    """Return what stands at a JSON pointer. Raises KeyError, IndexError."""
    found = facts
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


def table(caption: Content, head: Sequence[Content], rows: Sequence[Sequence[Content]], class_: str = "") -> Html:
    """Return a table whose first column names the row. On a narrow screen a row is a block, each cell with its column's name."""
    names = [_plain(one) for one in head]
    top = tag("tr", [tag("th", one, scope="col") for one in head])
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [tag("td", tag("div", one), data_name=name) for name, one in zip(names[1:], row[1:], strict=True)],
        )
        for row in rows
    ]
    inner = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", body), class_=class_ or None)
    return tag("div", inner, class_="scroll", tabindex="0", role="group", aria_label=_plain(caption))


def under(value: Content, beside: Content) -> Content:
    """Return a value with something smaller below it."""
    return [value, tag("small", beside)]


def _plain(content: Content) -> str:
    text, inside = [], False
    for letter in join(content):
        inside = letter == "<" or (inside and letter != ">")
        if not inside and letter != ">":
            text.append(letter)
    return html.unescape("".join(text))
