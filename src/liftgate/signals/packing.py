"""What an event changes, packed in one go: all feeds of a signal as one generated function, for events as they mostly are.

Everything that is the same for every event stands in the packing's format as constant bytes. The function gives up where a property is
missing or of an unusual kind; then the feeds are asked one by one, and to the same end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

from liftgate.domain.event import Event
from liftgate.domain.feature import BUILT_IN, property_of
from liftgate.domain.input import InputType
from liftgate.signals.cell import KEY, Op
from liftgate.signals.feeds import LARGEST, Fed, column_number, hashed
from liftgate.signals.series import Keeps

AtOnce = Callable[[Event, str, str], bytes | None]
"""An event, its offer's group and the bundle's currency to its packed changes; None: this event is not as they mostly are."""

_TAIL = Struct("<8sd").pack(b"\0" * 8, 0.0)
"""A change's second cell and its number, where it has none."""


def plain(fed: Fed) -> bool:
    """Say whether a feed can be part of a generated function."""
    source = fed.series.source
    return not source.where and (bool(source.property) or fed.other is None)


def at_once(feeds: Sequence[Fed]) -> AtOnce:
    """Return a function that does what these `plain` feeds do, one after the other."""
    made = _Function()
    for fed in feeds:
        made.add(fed)
    return made.compiled()


class _Function:
    """A function while it is written."""

    def __init__(self) -> None:
        self._format = "<"
        self._constant = b""
        self._arguments: list[str] = []
        self._lines: list[str] = []
        self._names: dict[str, Any] = {
            "property_of": property_of,
            "hashed": hashed,
            "column_number": column_number,
            "numbers": frozenset({int, float}),
        }
        self._known: dict[object, str] = {}

    def add(self, fed: Fed) -> None:
        """Add a feed's change: see `cell.CHANGE`."""
        series, other = fed.series, fed.other
        of, size = series.source.property, series.bucket_ms
        if series.keeps is Keeps.LATEST_AT:
            if of:
                self._property(of)
            self._bytes(bytes([Op.MAX]) + KEY.pack(series.series_id, 0))
            self._value("d", "at")
            self._bytes(_TAIL)
        elif series.keeps in (Keeps.COUNT, Keeps.MICROS):
            number = self._number(of) if of else ""
            self._bytes(bytes([Op.ADD]) + _id(series.series_id))
            self._value("I", self._slot(size))
            if series.keeps is Keeps.MICROS:
                self._value("d", self._once(("micros", of), f"round({number} * 1e6)"))
            else:
                self._bytes(Struct("<d").pack(1.0))
            self._bytes(_TAIL)
        elif series.keeps is Keeps.SET:
            assert other is not None
            text = self._text(of)
            self._bytes(bytes([Op.DISTINCT]) + _id(series.series_id))
            self._value("I", self._once(("hash", of), f"hashed('1' + {text})"))
            self._value("d", self._slot(size))
            self._bytes(Struct("<8sd").pack(KEY.pack(other.series_id, 0), float(series.definition.exact_up_to + 1)))
        else:
            assert other is not None
            number = self._column(fed)
            last = series.keeps is Keeps.LATEST
            self._bytes(bytes([Op.LAST if last else Op.FIRST]) + _id(other.series_id))
            self._value("I", "0" if last else self._slot(size))
            self._value("d", "at")
            self._bytes(_id(series.series_id))
            self._value("I", "0" if last else self._slot(size))
            self._value("d", number)

    def compiled(self) -> AtOnce:
        """Return the function."""
        self._flush()
        text = ["def changes(event, group, currency):", " at, get = event.occurred_at_ms, event.properties.get"]
        text += [*self._lines, f" return pack({', '.join(self._arguments)})"]
        names = self._names | {"pack": Struct(self._format).pack}
        # Our own words, and numbers: names of properties and values stand in `names`.
        exec(compile("\n".join(text), "<changes>", "exec"), names)  # noqa: S102
        # Out of what it sees: a function that can see itself is a cycle, and outlives its bundle (ADR 0034).
        found: AtOnce = names.pop("changes")
        return found

    def _bytes(self, constant: bytes) -> None:
        self._constant += constant

    def _value(self, code: str, expression: str) -> None:
        self._flush()
        self._format += code
        self._arguments.append(expression)

    def _flush(self) -> None:
        if self._constant:
            self._format += f"{len(self._constant)}s"
            self._arguments.append(self._constant_name(self._constant))
            self._constant = b""

    def _constant_name(self, value: Any) -> str:
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def _once(self, what: object, expression: str, check: str = "") -> str:
        """Return the name of something that is worked out once; `check` says when to give up, of `{}`."""
        known = self._known.get(what)
        if known is None:
            known = self._known[what] = f"v{len(self._known)}"
            self._lines.append(f" {known} = {expression}")
            if check:
                self._lines.append(f" if {check.format(known)}: return None")
        return known

    def _slot(self, size: int) -> str:
        return self._once(("slot", size), f"at // {size:d}")

    def _property(self, of: str) -> str:
        name = self._constant_name(of) if ("property", of) not in self._known else ""
        asked = f"property_of(event, {name}, group, currency)" if of in BUILT_IN else f"get({name})"
        return self._once(("property", of), asked, "{} is None")

    def _number(self, of: str) -> str:
        value = self._property(of)
        check = f"type({value}) not in numbers or not {-LARGEST!r} <= {value} <= {LARGEST!r}"
        return self._once(("number", of), value, check)

    def _text(self, of: str) -> str:
        value = self._property(of)
        return self._once(("text", of), value, f"type({value}) is not str")

    def _column(self, fed: Fed) -> str:
        """Return the name of a property as the number of the feed's column."""
        column, of = fed.series.definition.input, fed.series.source.property
        if column.type is InputType.STRING:
            table = {text: float(i) for i, text in reversed(list(enumerate(column.values)))}
            known = (of, column.values)
            return self._known.get(known) or self._once(known, f"{self._constant_name(table.get)}({self._text(of)}, -1.0)")
        asked = f"column_number({self._constant_name(column)}, {self._property(of)})"
        return self._once((of, fed.series.series_id), asked, "{} is None")


def _id(series_id: int) -> bytes:
    return series_id.to_bytes(4, "little")
