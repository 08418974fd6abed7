"""The pipeline on Kubeflow Pipelines: what is compiled, what runs in containers, and a rehearsal without a cluster."""
