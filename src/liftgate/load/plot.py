"""Latency over time as text: each column a moment, each row a latency, the shade how many requests."""

from __future__ import annotations

import numpy as np

from liftgate.load.result import Times

_SHADES = " ░▒▓█"
_PLAIN_SHADES = " .:*#"


def heat_map(start_ns: Times, latency_ns: Times, width: int, height: int = 12, plain: bool = False) -> list[str]:
    """Return the lines of a plot, `width` columns and `height` rows of it data; latency and shades are logarithmic. No data: no lines."""
    if not len(latency_ns):
        return []
    ms = np.maximum(latency_ns, 1) / 1e6
    low, high = float(np.log10(ms.min())), float(np.log10(ms.max()))
    if high - low < 0.3:
        low, high = low - 0.15, high + 0.15
    length_s = max((int(start_ns.max()) - int(start_ns.min())) / 1e9, 1e-6)
    column = np.minimum(((start_ns - start_ns.min()) / 1e9 / length_s * width).astype(np.int64), width - 1)
    row = np.clip(((np.log10(ms) - low) / (high - low) * height).astype(np.int64), 0, height - 1)
    counts = np.bincount(row * width + column, minlength=width * height).reshape(height, width)
    # One request must be seen among thousands: the first shade is for one, the others share the logarithm.
    shade = np.where(counts > 0, 1 + (np.log(np.maximum(counts, 1)) / max(np.log(counts.max()), 1e-9) * 3.0).round().astype(np.int64), 0)
    shades = _PLAIN_SHADES if plain else _SHADES
    upright, corner, flat = ("|", "+", "-") if plain else ("│", "└", "─")
    lines = []
    for level in range(height - 1, -1, -1):
        top = 10 ** (low + (high - low) * (level + 1) / height)
        lines.append(f"{top:>9.3g} {upright}" + "".join(shades[mark] for mark in shade[level]))
    lines.append(" " * 10 + corner + flat * width)
    end = f"{length_s:.3g} s"
    lines.append(f"{'ms':>9}  0" + end.rjust(width - 1))
    return lines
