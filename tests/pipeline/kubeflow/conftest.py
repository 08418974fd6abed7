"""What KFP gives a task."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline import config_files
from pipeline.kubeflow import invocation


@pytest.fixture
def config():
    return config_files.load("kubeflow", values={"beam.exchange": None})


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """KFP's folders, in one of the test's."""
    mirrors = {scheme: f"{tmp_path}{folder}" for scheme, folder in invocation.MIRRORS.items()}
    monkeypatch.setattr(invocation, "MIRRORS", mirrors)
    return tmp_path


SESSION = json.dumps({"Provider": "minio", "Params": {"fromEnv": "false"}})


def make_invocation(output_file, **parameters):
    """An ExecutorInput as KFP's driver gives it: inputs are without types, and with metadata of KFP's own."""
    metadata = {"display_name": "model", "store_session_info": SESSION, "tfx_version": "1.21.0", "words": {"list": [1]}}
    return json_format.ParseDict(
        {
            "inputs": {
                "parameterValues": parameters,
                "artifacts": {
                    name: {
                        "artifacts": [
                            {
                                "name": "17",
                                "type": {"instanceSchema": ""},
                                "uri": f"minio://bucket/{name}",
                                "metadata": metadata,
                            }
                        ]
                    }
                    for name in ("model", "baseline_model", "examples", "something_new")
                },
            },
            "outputs": {
                "outputFile": str(output_file),
                "artifacts": {
                    name: {"artifacts": [{"name": name, "uri": f"minio://bucket/{name}", "type": {kind: title}}]}
                    for name, kind, title in (
                        ("evaluation", "instanceSchema", "title: tfx.ModelEvaluation\ntype: object\n"),
                        ("blessing", "instanceSchema", "title: tfx.ModelBlessing\ntype: object\n"),
                        ("executor-logs", "schemaTitle", "system.Artifact"),
                    )
                },
                "parameters": {"something_newer": {"outputFile": "/tmp/kfp/outputs/something_newer"}},
            },
        },
        pipeline_spec_pb2.ExecutorInput(),
    )
