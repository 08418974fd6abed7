"""How much memory is left."""

from __future__ import annotations

import contextlib
import pathlib

_MEMINFO, _GROUP = pathlib.Path("/proc/meminfo"), pathlib.Path("/sys/fs/cgroup")

# What a control group's files are called, in version 2 and in version 1.
_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


def free() -> float:
    """Bytes that this process can still have: what the machine has, or what is left of the container's limit.

    Infinite where the system tells neither.
    """
    return min(_of_machine(), _of_group())


def _of_machine(path: pathlib.Path = _MEMINFO) -> float:
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (line.partition(":") for line in path.read_text(encoding="ascii").splitlines())
        sizes = {name: size.split() for name, _, size in lines}
        return int(sizes["MemAvailable"][0]) * 1024
    return float("inf")


def _of_group(root: pathlib.Path = _GROUP) -> float:
    """What the limit leaves beside what is in use; files that are only kept in memory would give way."""
    for names in _FILES:
        with contextlib.suppress(OSError, ValueError):
            limit, used, statistics = ((root / name).read_text(encoding="ascii") for name in names)
            if limit.strip() == "max":
                return float("inf")
            numbers = dict(line.rsplit(None, 1) for line in statistics.splitlines() if line.strip())
            kept = numbers.get("total_inactive_file", numbers.get("inactive_file", "0"))
            return max(int(limit) - int(used) + int(kept), 0)
    return float("inf")


def text(size: float) -> str:
    """A size for people, in GB."""
    return f"{size / 1e9:,.1f} GB"
