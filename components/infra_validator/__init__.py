"""TFX's InfraValidator, so that it compiles for Kubeflow Pipelines too."""
