"""Where a decision's CPU goes, as a flame graph: stacks of Python, sampled by CPU time, in one SVG that needs nothing else."""

from __future__ import annotations

import signal
from collections import Counter
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any

_EVERY_S = 0.001
_WIDTH, _ROW, _LETTER, _MARGIN = 1400, 17, 6.6, 24
_OURS = ("liftgate/", "tests/bench/")


class Sampler:
    """Samples this thread's stack after each millisecond of CPU that the process used. Time in C counts for the Python that called it."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[str, ...]] = Counter()

    def __enter__(self) -> Sampler:
        self._before = signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(_name(frame))
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1


def _name(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    start = max(path.rfind(part) for part in _OURS)
    where = path[start:] if start >= 0 else "/".join(path.rsplit("/", 2)[-2:])
    return f"{where.removesuffix('.py')}:{frame.f_code.co_qualname}"


def write(stacks: Counter[tuple[str, ...]], title: str, path: Path) -> None:
    """Write the graph: a box is as wide as its share of the samples; hovering tells its name, samples and share."""
    total = stacks.total()
    tree: dict[str, Any] = {}
    for stack, count in stacks.items():
        level = tree
        for name in stack:
            node = level.setdefault(name, [0, {}])
            node[0] += count
            level = node[1]
    boxes: list[str] = []
    depth = max(map(len, stacks), default=0)
    _draw(tree, 0.0, 0, total, boxes)
    height = depth * _ROW + 2 * _MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="monospace" font-size="11">'
    words = f'<text x="4" y="15" font-size="13">{escape(title)}; {total:,} samples, roots on top</text>'
    path.write_text("\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', words, *boxes, "</svg>"]), encoding="utf-8")


def _draw(level: dict[str, Any], x: float, depth: int, total: int, boxes: list[str]) -> None:
    for name, (count, below) in sorted(level.items()):
        width = count / max(1, total) * _WIDTH
        if width >= 0.5:
            y = depth * _ROW + _MARGIN
            ours = name.startswith(_OURS)
            colour = f"hsl({18 + hash_of(name) % 30},85%,70%)" if ours else f"hsl({200 + hash_of(name) % 20},25%,80%)"
            label = escape(name.rpartition("/")[2][: int(width / _LETTER)]) if width > 20 else ""
            boxes.append(
                f'<g><title>{escape(name)}: {count:,} samples, {count / total:.1%}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
                f'height="{_ROW - 1}" fill="{colour}"/><text x="{x + 2:.1f}" y="{y + 12}">{label}</text></g>'
            )
            _draw(below, x, depth + 1, total, boxes)
        x += width


def hash_of(name: str) -> int:
    """Return a number that is the same in every run."""
    return sum(map(ord, name))
