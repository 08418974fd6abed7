"""The tasks that look at what KFP's cache cannot see: files that change under their names, models that were pushed.

What they find are parameters, which KFP compares by value: so what depends on them runs again when they change, and
then only. They always run themselves, without TFX, which would take them ten seconds to import.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pipeline.configs import Config
from pipeline.kubeflow import checks, needs, spec, task, volume


def main(arguments: list[str] | None = None) -> int:
    """Runs one probe; returns the exit code."""
    return task.run(__doc__, needs.PROBES, _run, arguments)


def _run(name: str, settings: dict[str, Any], executor_input: str) -> None:
    invocation = json.loads(executor_input)
    config, facts = needs.config_in_container(settings, invocation.get("inputs", {}).get("parameterValues", {}))
    values = _fingerprints(config) if name == "Fingerprints" else _pushed_version(config, facts["model_identity"])
    for output, place in invocation["outputs"]["parameters"].items():
        task.write_parameter(place["outputFile"], values[output])
        print(f"{output}: {values[output] or '(none)'}")


def _fingerprints(config: Config) -> dict[str, str]:
    """Of the corpus, its spans, the benchmarks and the schema, and the version from which a training starts.

    Says early what would keep the Pusher from pushing.
    """
    from components.corpus import spans
    from components.pusher import versions
    from pipeline.inputs import Inputs

    checks.check_destination(config)
    volume.check_writable(config.destination, config.kubeflow.volume)
    inputs = Inputs.find(config)
    slots = spans.slots(inputs.spans, config.corpus.window or 0)
    text = spans.fingerprint_of([slot.fingerprint for slot in reversed(slots) if slot.number]) if slots else ""
    return {
        **inputs.fingerprints._asdict(),
        **{spec.of_place(needs.SPAN, place): str(slot) for place, slot in enumerate(slots, 1)},
        "start": versions.newest_start(config.destination, text),
    }


def _pushed_version(config: Config, model: str) -> dict[str, str]:
    from components.pusher import versions

    return {"version": versions.newest_other(config.destination, model)}


if __name__ == "__main__":
    sys.exit(main())
