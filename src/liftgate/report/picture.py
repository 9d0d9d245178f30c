"""Pictures as SVG written by hand: no script, no font of their own, sharp on paper, in the page's colours. Tables say the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from liftgate.report.shown import Html, tag

_FULL = 100.0


def scale(values: Sequence[float], least_span: float = 1e-9) -> tuple[float, float]:
    """Return a range that holds the values and 0, with a little air."""
    low, high = min(*values, 0.0), max(*values, 0.0)
    air = max((high - low) * 0.06, least_span)
    return low - air, high + air


def ticks(span: tuple[float, float]) -> list[float]:
    """Return three to six round values within a range, 0 among them where it lies within."""
    size = 10.0 ** floor(log10(max(span[1] - span[0], 1e-12)))
    step = next(size * part for part in (0.2, 0.5, 1.0, 2.0, 5.0) if (span[1] - span[0]) / (size * part) <= 5)
    return [step * i for i in range(ceil(span[0] / step), floor(span[1] / step) + 1)]


def place(value: float, span: tuple[float, float]) -> str:
    """Return how far below the top of a picture a value stands, in per cent."""
    return f"{_FULL * (span[1] - value) / (span[1] - span[0]):.2f}"


def interval(low: float | None, middle: float | None, high: float | None, span: tuple[float, float], beyond: bool) -> Html:
    """Return one interval on a line with a mark at 0; an open end runs to the edge. Decoration: its numbers stand beside it.

    `beyond`: it is beyond chance, corrected for all that was looked at; only then it has the colour of up or down.
    """

    def x(value: float) -> str:
        return f"{max(0.0, min(_FULL, _FULL * (value - span[0]) / (span[1] - span[0]))):.2f}%"

    marks = [tag("line", x1=x(0.0), x2=x(0.0), y1="0", y2="100%", class_="zero")]
    if middle is not None:
        side = "open"
        if beyond:
            side = "up" if low is not None and low > 0 else "down" if high is not None and high < 0 else "open"
        left, right = (span[0] if low is None else low), (span[1] if high is None else high)
        marks.append(tag("line", x1=x(left), x2=x(right), y1="50%", y2="50%", class_=f"span {side}"))
        marks.append(tag("circle", cx=x(middle), cy="50%", r="5", class_=f"dot {side}"))
    return tag("svg", marks, class_="interval", aria_hidden="true", focusable="false")


def bar(share: float) -> Html:
    """Return a bar of a share of 0 to 1. Decoration: its number stands beside it."""
    return tag(
        "svg", tag("rect", x="0", y="0", height="100%", width=f"{100 * share:.2f}%"), class_="bar", aria_hidden="true", focusable="false"
    )


def band(
    points: Sequence[tuple[float | None, float, float | None, float | None, float | None]], span: tuple[float, float], title: str
) -> Html:
    """Return the course of an estimate: (low, estimate, high, fixed low, fixed high) at each look; None: nothing is said yet."""
    n = max(len(points) - 1, 1)

    def xy(i: int, value: float) -> str:
        y = _FULL * (span[1] - max(span[0], min(span[1], value))) / (span[1] - span[0])
        return f"{_FULL * i / n:.2f},{y:.2f}"

    said = [(i, p) for i, p in enumerate(points) if p[0] is not None and p[2] is not None]
    marks = []
    if said:
        edge = [xy(i, p[2] or 0.0) for i, p in said] + [xy(i, p[0] or 0.0) for i, p in reversed(said)]
        marks.append(tag("polygon", points=" ".join(edge), class_="area"))
        for k in (3, 4):
            marks.append(tag("polyline", points=" ".join(xy(i, p[k] or 0.0) for i, p in said), class_="fixed"))
        marks.append(tag("polyline", points=" ".join(xy(i, p[1]) for i, p in said), class_="course"))
    for value in ticks(span):
        y = place(value, span)
        marks.insert(0, tag("line", x1="0", x2="100", y1=y, y2=y, class_="null" if abs(value) < 1e-12 else "grid"))
    return tag("svg", tag("title", title), marks, viewBox="0 0 100 100", preserveAspectRatio="none", class_="band", role="img")


def against(points: Sequence[tuple[float, float, int]], most: float, title: str) -> Html:
    """Return what was foretold (across) against what came (up), with the line of equality. Each point: foretold, came, rows."""
    largest = max((n for *_, n in points), default=1)
    marks = [tag("line", x1="0", y1="100", x2="100", y2="0", class_="equal")]
    for foretold, came, n in points:
        x, y = (_FULL * min(one / most, 1.0) for one in (foretold, came))
        marks.append(tag("circle", cx=f"{x:.2f}", cy=f"{_FULL - y:.2f}", r=f"{1.2 + 1.8 * (n / largest) ** 0.5:.2f}", class_="dot open"))
    return tag("svg", tag("title", title), marks, viewBox="-3 -3 106 106", class_="against", role="img")
