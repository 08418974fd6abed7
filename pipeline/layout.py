"""The names of what is in a run's folder, and in its metadata."""

from __future__ import annotations

ARTIFACTS = "artifacts"
CHECKPOINTS = "checkpoints"
METADATA = "metadata.sqlite"
LOCK = "run.lock"
LOG = "run.log"

# Where the pushed versions are, unless `pusher.destination` says otherwise.
PUSHED = "serving_model"

# The newest run's page, and a link to its model's vectors.
REPORT = "report.html"
VECTORS = "vectors"

# What the runner keeps for the report: the components' seconds, and what was noted.
DURATIONS = "durations.json"
NOTES = "notes.json"

# What was made under metadata that were lost.
LOST = "lost"


def run_of_span(run: str, span: str) -> str:
    """What ML Metadata call the reading of a span, before a run."""
    return f"{run} {span}"


def is_of_span(run: str) -> bool:
    """Whether a run in ML Metadata is the reading of a span."""
    return " " in run
