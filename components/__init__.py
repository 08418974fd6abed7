"""The pipeline's components, and what they share."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Kubeflow Pipelines finds artifact types of our own by their type name, which it imports, with one dot."""
    if name == "ModelCard":
        from components.card.component import ModelCardArtifact

        return ModelCardArtifact
    if name == "Report":
        from components.report.component import ReportArtifact

        return ReportArtifact
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
