"""The tasks that look at what KFP's cache cannot see: files that change under their names, models that were pushed.

What they find are parameters, which KFP compares by value: so what depends on them runs again when they change, and
then only. They always run themselves, without TFX, which would take them ten seconds to import.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from pipeline.configs import Config
from pipeline.kubeflow import checks, needs, volume
from word2vec.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Runs one probe; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, choices=sorted(needs.PROBES))
    parser.add_argument("--settings", required=True, help="those on which it depends, in JSON")
    parser.add_argument("--note", help="for KFP's cache alone")
    parser.add_argument("--executor-input", required=True, help="KFP's ExecutorInput, in JSON")
    options = parser.parse_args(arguments)
    try:
        _run(options.task, json.loads(options.settings), json.loads(options.executor_input))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(task: str, settings: dict[str, Any], invocation: dict[str, Any]) -> None:
    config, facts = needs.config_in_container(settings, invocation.get("inputs", {}).get("parameterValues", {}))
    values = _fingerprints(config) if task == "Fingerprints" else _pushed_version(config, facts["model_identity"])
    for name, value in values.items():
        write_parameter(invocation["outputs"]["parameters"][name]["outputFile"], value)
        print(f"{name}: {value or '(none)'}")


def write_parameter(path: str, value: str) -> None:
    """Writes an output parameter to the file from which KFP reads it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(value)


def _fingerprints(config: Config) -> dict[str, str]:
    """Of the corpus, the benchmarks and the schema; and says early what would keep the Pusher from pushing."""
    from pipeline.inputs import Inputs

    checks.check_destination(config)
    volume.check_writable(config.destination, config.kubeflow.volume)
    return Inputs.find(config).fingerprints._asdict()


def _pushed_version(config: Config, model: str) -> dict[str, str]:
    from components.pusher import versions

    return {"version": versions.newest_other(config.destination, model)}


if __name__ == "__main__":
    sys.exit(main())
