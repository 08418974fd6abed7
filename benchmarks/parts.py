"""Parts of measurements that run in processes of their own: what they are told, and what they answer, in JSON."""

from __future__ import annotations

import json
import pathlib
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent

Part = Callable[..., Mapping[str, Any]]


def call(module: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a module of ours in a process of its own, with a request; returns what it answers."""
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(request)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def request() -> dict[str, Any]:
    """What this process is told: its first argument, in JSON."""
    if (options := _given()) is None:
        sys.exit(
            "error: expected JSON, as the other measurements call this one. To measure: python -m benchmarks.bench"
        )
    return options


def answer(figures: Mapping[str, Any]) -> None:
    """Tells the process that called this one."""
    print(json.dumps(figures), flush=True)


def is_one_of(parts: Mapping[str, Part]) -> bool:
    """Does the part that this process is told by its name, `part`, with the rest as arguments; False if there is none.

    Args:
        parts: functions by name.
    """
    if (options := _given()) is None:
        return False
    answer(parts[options.pop("part")](**options))
    return True


def peak_mib() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _given() -> dict[str, Any] | None:
    try:
        options = json.loads(sys.argv[1])
    except (IndexError, ValueError):
        return None
    return options if isinstance(options, dict) else None
