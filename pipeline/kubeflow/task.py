"""A task's command line in its container, how it ends, and how it hands a parameter on."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from word2vec.errors import UserError


def run(
    description: str | None,
    tasks: Iterable[str],
    body: Callable[[str, dict[str, Any], str], None],
    arguments: Sequence[str] | None,
) -> int:
    """Runs one task; returns the exit code.

    Args:
        description: of the program.
        tasks: those that it knows.
        body: takes the task's name, the settings on which it depends, and KFP's ExecutorInput, in JSON.
        arguments: of the command line; by default this process'.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, choices=sorted(tasks), help="its name in the pipeline")
    parser.add_argument("--settings", required=True, help="those on which it depends, in JSON")
    parser.add_argument("--note", help="for KFP's cache alone")
    parser.add_argument("--executor-input", required=True, help="KFP's ExecutorInput, in JSON")
    options = parser.parse_args(arguments)
    try:
        body(options.task, json.loads(options.settings), options.executor_input)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def write_parameter(path: str, value: str) -> None:
    """Writes an output parameter to the file from which KFP reads it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(value)
